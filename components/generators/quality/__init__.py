"""How good the images of a generator are, beside real photos."""
