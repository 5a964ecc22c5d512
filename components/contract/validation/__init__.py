"""Validation of a data set: its valid rows, its rows in quarantine, and a report with pages for people."""
