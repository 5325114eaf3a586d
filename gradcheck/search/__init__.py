"""Looks for inputs at which a derivative is wrong, and for the simplest of them."""
