"""The training loop: batches, gradient steps of each Keras backend, checkpoints."""
