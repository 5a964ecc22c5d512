"""Features of products and creatives as known at a time."""
