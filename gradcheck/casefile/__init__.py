"""YAML text → cases, with the position of everything that is wrong in it. Imports no torch."""
