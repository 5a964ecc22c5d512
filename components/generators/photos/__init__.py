"""Photos that generators learn from: read, measured, prepared."""
