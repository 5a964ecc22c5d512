"""A data set -> the rows that hold the contract, the rows in quarantine, and a report with pages for people."""
