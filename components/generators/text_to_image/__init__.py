"""Text to image: text encoders, a caption parser, and sampling until an image agrees with its caption."""
