"""Builds the data sets that come with Adloom, checks them, and takes in a user's own."""
