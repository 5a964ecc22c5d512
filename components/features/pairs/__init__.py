"""Features of a pair (shopper, creative) at a time.

A new one is one file and one line in PAIR_FEATURES; `features.pairs` chooses among them.
"""

from components.features.pairs.category_views import CATEGORY_VIEWS
from components.features.pairs.pair_feature import PairFeature
from components.features.pairs.repeats import REPEATS
from components.settings.errors import UserError

PAIR_FEATURES: dict[str, PairFeature] = {feature.name: feature for feature in (REPEATS, CATEGORY_VIEWS)}


def pair_feature(name: str) -> PairFeature:
    """The pair feature called `name`; UserError lists the known ones."""
    if name not in PAIR_FEATURES:
        raise UserError(f"features.pairs: no pair feature is called {name!r}; there are {', '.join(PAIR_FEATURES)}")
    return PAIR_FEATURES[name]
