"""A shop's own files (CSV, Excel, Parquet, JSON lines) -> the contract's tables, by a mapping that a person reviews."""
