"""Whether a stage must run again: what it depends on, and manifests of what it read and wrote."""
