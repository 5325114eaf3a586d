"""Wrong versions of what was written by hand, and whether a case notices them."""
