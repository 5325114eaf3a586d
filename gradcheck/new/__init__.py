"""`gradcheck new`: a case is begun, its derivatives left to write."""
