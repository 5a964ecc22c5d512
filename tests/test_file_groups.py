"""Files that share a shop that takes long to make run on one core, and every other file by itself."""

from types import SimpleNamespace

import pytest

from components.settings.paths import ROOT
from tests.file_groups import SHARED, group_of, longest_first


@pytest.mark.parametrize("name", SHARED)
def test_files_that_share_a_fixture_are_one_group(name):
    files = [path.relative_to(ROOT).as_posix() for path in (ROOT / "tests" / "flows").glob("test_*.py")]
    assert len([file for file in files if group_of(file) == name]) > 1


def test_every_other_file_is_a_group_of_its_own():
    assert group_of("tests/test_file_groups.py") == "tests/test_file_groups.py"


def test_files_with_a_shared_fixture_come_first_then_those_with_slow_tests_then_those_with_most_tests():
    shared = next(path for path in (ROOT / "tests" / "flows").glob("test_*.py") if "finished_shop" in path.read_text())
    few, slow, many = "tests/test_skips.py", "tests/test_remote.py", "tests/test_file_groups.py"
    files = [few, many, slow, many, many, shared.relative_to(ROOT).as_posix()]
    items = [
        SimpleNamespace(nodeid=f"{file}::test_{number}", get_closest_marker=lambda _, file=file: file == slow or None)
        for number, file in enumerate(files)
    ]
    longest_first(items)
    assert [item.nodeid.partition("::")[0] for item in items] == [files[-1], slow, many, many, many, few]
