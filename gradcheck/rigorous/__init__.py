"""What formulas mean in rigorous ball arithmetic (python-flint): enclosures of what is true."""
