"""Expression text → Expression, with Leibniz names; what a formula may call. Imports no torch."""
