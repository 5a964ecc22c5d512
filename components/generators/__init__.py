"""Generators of product images: VAE, WGAN-GP, flow matching and text to image; training and quality review."""
