"""`python -m components.datasets DATA_FOLDER`: write digests.json from the shipped data sets in DATA_FOLDER."""

import sys

from upath import UPath

from components.datasets.shipped_digests import committed_digests, write_digests
from components.settings.shipped_datasets import ALL_SHIPPED

write_digests(UPath(sys.argv[1]))
for shipped in ALL_SHIPPED:
    print(f"{shipped}: {len(committed_digests(shipped))} files")
