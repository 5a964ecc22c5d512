"""The six stages, their caching, and what runs around them: publication, other machines, new days."""
