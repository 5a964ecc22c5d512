"""The families of generators: their networks, losses and samplers."""
