"""Draw an ad: sizes, layouts, palettes, photos and text."""
