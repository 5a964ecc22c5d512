"""Training photos of the generators: reading, attributes, preprocessing."""
