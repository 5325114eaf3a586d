"""What kind of mistake a wrong derivative looks like."""
