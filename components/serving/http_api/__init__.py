"""The HTTP interface of the service: what is asked and answered, its description, its limits, its addresses."""
