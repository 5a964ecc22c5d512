"""What a taste is for: an attribute of products, by the names of its columns."""

from typing import TYPE_CHECKING


class Attribute:
    """The base of the classes of tastes: each has `columns`, names such as `category:Shirt` or `look:00`."""

    if TYPE_CHECKING:  # else a dataclass would take this property for the default of its field `columns`

        @property
        def columns(self) -> tuple[str, ...]:
            """The names of the columns."""

    @property
    def name(self) -> str:
        """The attribute, such as `category`."""
        return self.columns[0].partition(":")[0] if self.columns else ""
