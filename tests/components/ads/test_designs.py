"""Designs are files that a designer writes: what is wrong in one is named, with its place."""

import re
from pathlib import Path

import pytest
import yaml

from components.ads.rendering import designs as module
from components.ads.rendering.ad_sizes import ASPECTS
from components.ads.rendering.designs import Parts, design_of, designs, read_design
from components.settings.errors import UserError

SOURCE = (Path(module.__file__).parent / "designs" / "plain.yaml").read_text(encoding="utf-8")


def changed(shape: str, element: int, **fields) -> str:
    """`plain` with fields of one element replaced; None deletes a field."""
    layouts = yaml.safe_load(SOURCE)
    one = layouts[shape][element]
    for name, value in fields.items():
        one.pop(name, None)
        if value is not None:
            one[name] = value
    return yaml.safe_dump(layouts)


def without(shape: str, part: str) -> str:
    layouts = yaml.safe_load(SOURCE)
    layouts[shape] = [one for one in layouts[shape] if part not in (one.get("of"), one["draw"])]
    return yaml.safe_dump(layouts)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (changed("wide", 0, box=[0, 0, 1001, 1000]), r"wide\.0\.box\.2: .*less than or equal to 1000, got 1001"),
        (
            changed("wide", 0, box=[500, 0, 500, 1000]),
            r"wide\.0\.box: write left, top, right, bottom, with left",
        ),
        (changed("wide", 0, box=[0, 0, 9]), r"wide\.0\.box"),
        (changed("tall", 1, of="slogan"), r"tall\.1\.of: .*'headline'.*got 'slogan'"),
        (changed("tall", 1, of=None), r"tall\.1: text needs `of`, the text that it shows"),
        (changed("tall", 0, of="title"), r"tall\.0: picture shows no text"),
        (changed("tall", 4, draw="disc"), r"tall\.4: disc needs `inner`, the box of its text"),
        (changed("tall", 1, inner=[1, 1, 2, 2]), r"tall\.1: text takes no `inner`"),
        (changed("tall", 1, bos=[1, 1, 2, 2]), r"tall\.1\.bos: unknown setting"),
        (changed("tall", 1, largest=0), r"tall\.1\.largest: .*greater than or equal to 1"),
        (without("strip", "call_to_action"), r"strip: has no place for call_to_action"),
        (without("column", "picture"), r"column: has no place for picture"),
        ("plain", r"write a layout for each shape of ad: column, tall, near square, wide, strip"),
        ("wide: []", r"write a layout for each shape of ad"),
        ("wide: [", r"is no YAML"),
    ],
)
def test_what_is_wrong_in_a_design_is_named_with_its_place(text, words):
    with pytest.raises(UserError, match=r"mine\.yaml") as caught:
        read_design(text, "mine.yaml")
    assert re.search(words, str(caught.value)), str(caught.value)


def test_a_design_is_read_as_written():
    design = read_design(SOURCE, "plain.yaml")
    assert set(design.layouts) == set(ASPECTS) and design == designs()["plain"]
    assert design_of(None) == design_of("no such template") == design
    assert vars(Parts()) == {**dict.fromkeys(("headline", "call_to_action", "title", "price")), "marks": ()}
