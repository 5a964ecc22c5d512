"""The sizes of ads by their names in `ads.sizes`. One line adds a size; its aspect determines its layouts."""

from dataclasses import dataclass
from typing import Literal

from components.settings.errors import UserError

Aspect = Literal["wide", "near square", "tall"]
WIDE, TALL = 2.0, 0.6  # width over height: from WIDE on an ad is laid out in a row, up to TALL in a column


@dataclass(frozen=True)
class AdSize:
    """Width and height in pixels."""

    width: int
    height: int

    @property
    def name(self) -> str:
        """The name, such as `300x250`."""
        return f"{self.width}x{self.height}"

    @property
    def aspect(self) -> Aspect:
        """The aspect, which determines the layouts."""
        ratio = self.width / self.height
        return "wide" if ratio >= WIDE else "tall" if ratio <= TALL else "near square"


MEDIUM_RECTANGLE = AdSize(300, 250)
# Of the IAB's display guidelines (New Ad Portfolio, 2017).
AD_SIZES = {
    size.name: size
    for size in (
        MEDIUM_RECTANGLE,
        AdSize(728, 90),  # leaderboard
        AdSize(160, 600),  # wide skyscraper
        AdSize(320, 50),  # smartphone banner
        AdSize(320, 100),  # large mobile banner
        AdSize(300, 600),  # half page
    )
}


def ad_sizes(names: tuple[str, ...]) -> tuple[AdSize, ...]:
    """The sizes with these names; UserError lists the known ones for an unknown name."""
    for name in names:
        if name not in AD_SIZES:
            raise UserError(f"ads.sizes: no ad size is called {name!r}; there are {', '.join(AD_SIZES)}")
    return tuple(AD_SIZES[name] for name in names)
