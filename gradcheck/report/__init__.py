"""Results → something to read, one module for each kind of reader. Knows results only."""
