"""What a backward must survive beside being right, each condition one small entry."""
