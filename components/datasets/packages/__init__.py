"""Packages that the data sets come from, downloaded by the machine's package managers."""
