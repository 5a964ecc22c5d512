"""Evidence -> decision -> registry: `decide` is pure, `apply` moves the alias."""
