"""Wiring: Prefect flows over the stages. No arithmetic on data and no machine learning here."""
