"""The report of a run for people: one HTML page that opens from disk, in English and Chinese."""
