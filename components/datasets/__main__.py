"""`python -m components.datasets DATA_FOLDER`: writes the digests of the shipped data sets there as the due ones."""

import sys

from upath import UPath

from components.datasets.shipped_digests import SHIPPED, due_digests, record

record(UPath(sys.argv[1]))
for shipped in SHIPPED:
    print(f"{shipped}: {len(due_digests(shipped))} files")
