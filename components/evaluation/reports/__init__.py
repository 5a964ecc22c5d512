"""Evaluations as pages, charts and sentences for people."""
