"""Candidate ads from each source, and the pool that is filled from them."""
