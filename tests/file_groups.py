"""Test files that one worker of pytest-xdist runs in turn, because what they share takes long to make."""

import re
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


class FileGroupScheduling(LoadFileScheduling):
    """`--dist loadfile`, with files of one group on one worker."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(super()._split_scope(nodeid))
