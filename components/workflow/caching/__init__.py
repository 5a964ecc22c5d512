"""Caching of stages: their dependencies, and manifests of their inputs and outputs."""
