"""Oracles: whoever can be asked about a claim, and answers with a ball. One module each."""
