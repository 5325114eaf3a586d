"""Results → a page to look at, and the same pieces in a notebook."""
