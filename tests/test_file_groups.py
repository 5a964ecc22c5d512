"""Files that share a shop that takes long to make run on one core, and every other file by itself."""

import pytest

from components.settings.paths import ROOT
from tests.file_groups import SHARED, group_of


@pytest.mark.parametrize("name", SHARED)
def test_files_that_share_a_fixture_are_one_group(name):
    files = [path.relative_to(ROOT).as_posix() for path in (ROOT / "tests" / "flows").glob("test_*.py")]
    assert len([file for file in files if group_of(file) == name]) > 1


def test_every_other_file_is_a_group_of_its_own():
    assert group_of("tests/test_file_groups.py") == "tests/test_file_groups.py"
