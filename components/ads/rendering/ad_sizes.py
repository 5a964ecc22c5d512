"""The sizes of ads by their names in `ads.sizes`. One line adds a size; its shape determines its layout."""

from dataclasses import dataclass

from components.settings.errors import UserError

# shapes of ads and their greatest width over height; a design has a layout for each
ASPECTS = {"column": 0.4, "tall": 0.6, "near square": 2.0, "wide": 5.0, "strip": float("inf")}


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
    def aspect(self) -> str:
        """The shape, a key of ASPECTS, which determines the layout."""
        return next(name for name, ratio in ASPECTS.items() if self.width <= ratio * self.height)


MEDIUM_RECTANGLE = AdSize(300, 250)
# Of the IAB's display guidelines (New Ad Portfolio, 2017), and the squares and stories of social networks.
AD_SIZES = {
    size.name: size
    for size in (
        MEDIUM_RECTANGLE,
        AdSize(728, 90),  # leaderboard
        AdSize(160, 600),  # wide skyscraper
        AdSize(320, 50),  # smartphone banner
        AdSize(320, 100),  # large mobile banner
        AdSize(300, 600),  # half page
        AdSize(1080, 1080),  # square post
        AdSize(1080, 1920),  # story
    )
}


def ad_sizes(names: tuple[str, ...]) -> tuple[AdSize, ...]:
    """The sizes with these names; UserError lists the known ones for an unknown name."""
    for name in names:
        if name not in AD_SIZES:
            raise UserError(f"ads.sizes: no ad size is called {name!r}; there are {', '.join(AD_SIZES)}")
    return tuple(AD_SIZES[name] for name in names)
