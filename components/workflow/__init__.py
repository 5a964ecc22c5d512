"""The six stages, their caching, publication, stages on other machines, and new days of a simulated shop."""
