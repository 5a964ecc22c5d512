"""Names from data become names of files: safe, short, and never shared."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.settings.errors import UserError
from components.settings.file_names import DEVICES, MAX_LENGTH, check_dataset_name, file_name

HOSTILE = [
    *("../x", "../../../etc/passwd", "/etc/passwd", "..", ".", "", " ", "a/b", "a\\b", "C:\\x", "con", "NUL", "com1"),
    *("a\0b", "\n", "a" * 300, "品" * 100, "x.", "x ", ".hidden", "-rf", "~", "*", "a:b", "a?b", "\ud800", "é", "é"),
    *("Shoe", "shoe", "SHOE", "sho e", "sho-e", "sho_e", "sho/e", "sho.e", "a" * 101, "a" * 102, "品" * 101),
]


@pytest.mark.parametrize("name", HOSTILE)
def test_every_text_gives_one_safe_component(name, tmp_path):
    for ending in ("", ".png"):
        made = file_name(name, ending)
        assert made == file_name(name, ending)
        assert made.isascii() and len(made) <= MAX_LENGTH + len(ending)
        assert (tmp_path / made).parent == tmp_path and made not in (".", "..")
        assert not made.startswith((".", "-")) and not made.removesuffix(ending).endswith((".", " "))
        assert made.partition(".")[0] not in DEVICES
        (tmp_path / made).write_bytes(b"")


def test_names_that_differ_never_share_a_file_even_where_case_is_ignored():
    made = [file_name(name).lower() for name in HOSTILE]
    assert len(set(made)) == len(set(HOSTILE))


@given(st.lists(st.text(), min_size=2, max_size=5, unique=True))
def test_any_two_texts_have_two_files(names):
    for first, second in itertools.combinations(names, 2):
        assert file_name(first).lower() != file_name(second).lower()


def test_a_replaced_name_cannot_be_met_by_a_plain_one():
    replaced = file_name("../x")
    assert file_name(replaced) != replaced


@pytest.mark.parametrize("name", ["marketplace", "my_shop", "my-shop-2", "c00-made-0123456789ab", "softmax-1"])
def test_plain_names_stay_as_they_are(name):
    assert file_name(name, ".png") == f"{name}.png"


@pytest.mark.parametrize(
    "name", ["", "../x", "Shop", "-x", "_x", "a b", "x' OR '1'='1", "店", "con", "a" * 101, "a\n", "a\0"]
)
def test_names_that_no_data_set_can_have_are_refused(name):
    with pytest.raises(UserError):
        check_dataset_name(name)


@pytest.mark.parametrize("name", ["my_shop", "a", "2shops", "a" * 100])
def test_names_of_data_sets(name):
    assert check_dataset_name(name) == name
