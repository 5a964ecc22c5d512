"""Test files that one worker of pytest-xdist runs in turn, because what they share takes long to make."""

import re
from collections import Counter
from functools import cache

from xdist.scheduler.loadfile import LoadFileScheduling

from components.settings.paths import ROOT

# fixtures of the session, in tests/flows/conftest.py; a worker that runs one of their files makes the fixture anew
SHARED = ("finished_shop", "ready")


@cache
def group_of(file: str) -> str:
    """The first of SHARED that the tests in `file`, relative to the root, ask for; without any, the file itself."""
    text = (ROOT / file).read_text(encoding="utf-8")
    return next((name for name in SHARED if re.search(rf"[(,] ?{name}[,)]", text)), file)


def longest_first(items: list) -> None:
    """Sort the tests by group: those with a shared fixture, those with most slow tests, those with most tests.

    A long file that began last would keep one worker busy while the others have nothing left.
    """
    groups = {item.nodeid: group_of(item.nodeid.partition("::")[0]) for item in items}
    tests = Counter(groups.values())
    slow = Counter(groups[item.nodeid] for item in items if item.get_closest_marker("slow") is not None)

    def place(item) -> tuple:
        group = groups[item.nodeid]
        return group not in SHARED, -slow[group], -tests[group], group

    items.sort(key=place)


class FileGroupScheduling(LoadFileScheduling):
    """`--dist loadfile`, with files of one group on one worker, in the order of the collected tests.

    pytest-xdist would begin with the files with most tests, and the longest of the suite have few.
    """

    def __init__(self, config, log=None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        return group_of(super()._split_scope(nodeid))
