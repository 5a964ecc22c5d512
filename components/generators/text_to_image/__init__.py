"""Captions -> images: encoders of text, a parser of captions, and draws until the caption holds."""
