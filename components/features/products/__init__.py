"""What is known of products and creatives as of a moment."""
