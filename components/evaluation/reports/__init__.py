"""Evaluations as Markdown, charts and text."""
