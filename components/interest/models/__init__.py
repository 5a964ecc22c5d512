"""The models of interest, one file each, and what they share."""
