"""Designs: how each template places image and texts, read from the YAML files in `designs/`, one per template.

A file has a list of elements for each shape of ad, in the order in which they are drawn. Positions are in thousandths
of the ad's width and height, sizes of type, corners and margins in thousandths of its shorter side.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, Field, model_validator

from components.ads.rendering.ad_marks import draw_marks, frame_for
from components.ads.rendering.ad_sizes import ASPECTS, AdSize
from components.ads.rendering.canvas import Box, Canvas, DryCanvas
from components.settings.errors import UserError
from components.settings.sections import Section
from components.settings.typed_settings import typed_settings

DEFAULT = "plain"  # for unknown templates
PICTURE, COLOUR_PHOTO = "picture", "colour_photo"
NEEDED = ("headline", "call_to_action")  # every shape of a design has a place for these


@dataclass(frozen=True)
class Parts:
    """The texts of an ad; the place of a missing one stays empty. title: the product's; price: as it is shown; marks:
    what the ad must say beside its design (markets/)."""

    headline: str | None = None
    call_to_action: str | None = None
    title: str | None = None
    price: str | None = None
    marks: tuple[str, ...] = ()


Part = Literal["headline", "call_to_action", "title", "price"]
Thousandths = Annotated[int, Field(ge=0, le=1000)]


def _ordered(box: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    left, top, right, bottom = box
    if left >= right or top >= bottom:
        raise ValueError("write left, top, right, bottom, with left < right and top < bottom")
    return box


Corners = Annotated[tuple[Thousandths, Thousandths, Thousandths, Thousandths], AfterValidator(_ordered)]


class Element(Section):
    """One element of a layout. box, inner (of the text on a disc or tag): left, top, right, bottom.

    when, unless: draw it only with, or without, this part (or a colour photo).
    """

    draw: Literal["picture", "ground", "fill", "text", "button", "disc", "tag"]
    box: Corners
    of: Part | None = None
    inner: Corners | None = None
    when: Part | Literal["colour_photo"] | None = None
    unless: Part | Literal["colour_photo"] | None = None
    radius: Thousandths | None = None
    margin: Thousandths = 40
    inset: Thousandths = 15
    largest: Annotated[int, Field(ge=1, le=1000)] = 60
    lines: Annotated[int, Field(ge=1, le=8)] = 3
    centred: bool = False

    @model_validator(mode="after")
    def _complete(self) -> "Element":
        if (self.of is None) != (self.draw in ("picture", "ground", "fill")):
            raise ValueError(
                f"{self.draw} {'needs `of`, the text that it shows' if self.of is None else 'shows no text'}"
            )
        if (self.inner is None) != (self.draw not in ("disc", "tag")):
            raise ValueError(
                f"{self.draw} {'needs' if self.inner is None else 'takes no'} `inner`, the box of its text"
            )
        return self

    def draw_on(self, canvas: Canvas, parts: Parts) -> None:
        """Draw the element, if its conditions hold and it has something to show."""
        shown = {name for name, text in vars(parts).items() if text} | ({COLOUR_PHOTO} if canvas.in_colour else set())
        if (self.when and self.when not in shown) or (self.unless and self.unless in shown):
            return
        box, text = Box(*self.box), getattr(parts, self.of) or "" if self.of else ""
        if self.draw == PICTURE:
            canvas.show(box, radius=self.radius or 0, margin=self.margin)
        elif self.draw == "ground":
            canvas.ground(box)
        elif self.draw == "fill":
            canvas.fill(box, canvas.palette.paper)
        elif self.draw == "text":
            canvas.write(box, text, canvas.palette.ink, self.largest, lines=self.lines, centred=self.centred)
        elif self.draw == "button":
            canvas.button(box, text, 28 if self.radius is None else self.radius, self.largest, self.inset)
        else:
            (canvas.disc if self.draw == "disc" else canvas.tag)(box, Box(*self.inner), text, self.largest)


class Design(Section):
    """The elements of a template, by shape of ad (ad_sizes.ASPECTS)."""

    layouts: dict[str, tuple[Element, ...]]

    @model_validator(mode="after")
    def _complete(self) -> "Design":
        if set(self.layouts) != set(ASPECTS):
            raise ValueError(f"write a layout for each shape of ad: {', '.join(ASPECTS)}")
        for shape, elements in self.layouts.items():
            missing = [part for part in NEEDED if part not in {element.of for element in elements}]
            if PICTURE not in {element.draw for element in elements}:
                missing.append(PICTURE)
            if missing:
                raise ValueError(f"{shape}: has no place for {' and '.join(missing)}")
        return self

    def draw_on(self, canvas: Canvas, parts: Parts, aspect: str) -> None:
        """Draw the ad on a canvas of this shape."""
        for element in self.layouts[aspect]:
            element.draw_on(canvas, parts)


def read_design(text: str, place: str) -> Design:
    """The design in a YAML file at `place`. UserError names what is wrong in it."""
    try:
        written: Any = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"{place}: is no YAML: {' '.join(str(error).split())}") from None
    if not isinstance(written, Mapping):
        raise UserError(f"{place}: write a layout for each shape of ad: {', '.join(ASPECTS)}")
    return typed_settings({"layouts": dict(written)}, place, Design)


@cache
def designs() -> Mapping[str, Design]:
    """The designs that come with Adloom, by template."""
    folder = Path(str(files(__package__))) / "designs"
    return {
        file.stem: read_design(file.read_text(encoding="utf-8"), file.name) for file in sorted(folder.glob("*.yaml"))
    }


def design_of(template: str | Design | None) -> Design:
    """The design of a template; of `plain` for an unknown one. A design is given back."""
    if isinstance(template, Design):
        return template
    known = designs()
    return known.get(template or "", known[DEFAULT])


def draw_ad(canvas: Canvas, parts: Parts, template: str | Design | None, size: AdSize) -> None:
    """Draw the ad and its marks on a canvas of this size, whose frame leaves room for them (`frame_for`)."""
    design_of(template).draw_on(canvas, parts, size.aspect)
    if parts.marks:
        draw_marks(canvas, size, parts.marks)


@lru_cache(maxsize=65536)
def cut_text(parts: Parts, template: str | None, size: AdSize, in_colour: bool) -> str | None:
    """The first text that does not fit whole in the design of `template` at `size`; None if all fit."""
    canvas = DryCanvas.of(size, in_colour, frame_for(size, parts.marks))
    draw_ad(canvas, parts, template, size)
    cut = (mark.lettering.lines for mark in canvas.marks if mark.lettering is not None and mark.lettering.cut)
    return next((" ".join(lines) for lines in cut), None)
