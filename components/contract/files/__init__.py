"""Reading and writing: tables, atomic writes, bounds on decoded sizes, digests."""
