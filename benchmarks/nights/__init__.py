"""Ten consecutive nightly runs of a small shop, started by a scheduler."""
