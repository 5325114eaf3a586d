"""gradcheck decides whether a derivative that somebody wrote by hand is right."""
