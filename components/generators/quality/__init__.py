"""The quality review of generators: metrics of their images, relative to real photos."""
