"""The interest models, one file each, and their shared feature blocks, pair map and initialisation."""
