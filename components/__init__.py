"""Adloom: which ad creative to show to whom, and what that choice is worth."""

# Package -> what it holds. A package imports only from packages above it; tests/test_architecture.py enforces this.
PACKAGES = {
    "settings": "typed settings, file locations, environment, error classes",
    "contract": "table schemas, reading and writing, validation against expectations/",
    "simulator": "the simulated marketplace whose true click probabilities are known",
    "datasets": "the data sets that come with Adloom, and where others come from: files, SQL",
    "images": "decoding, encoders, near-duplicate search",
    "features": "point-in-time features of shoppers, products, creatives and requests",
    "interest": "P(click | shopper, creative, context), calibrated",
    "generators": "VAE, WGAN-GP, flow matching, text to image: networks, training loop, quality review",
    "ads": "copy, layout, rendering, admission, the pool of ads",
    "policies": "eligible creatives -> probability of showing each",
    "evaluation": "off-policy estimates, intervals, log checks, evidence for the gate",
    "registry": "MLflow: signed packages, champion and challenger, promotion and rollback",
    "workflow": "the six stages, caching, running a stage on another machine, publication, simulated days",
    "serving": "the champion answering requests over HTTP; what was shown and clicked, logged",
    "cli": "the command line",
}
