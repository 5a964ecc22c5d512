"""What is measured on the pixels of drawn ads, before they enter a pool."""
