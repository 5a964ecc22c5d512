"""Files of any kind -> tables of texts on disk: encodings, delimiters, Excel, Parquet, JSON, slates."""
