"""The facts of a product that back claims of ads, from the shop's tables as they are when ads are made."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from components.ads.copy.claims import Claim, claims_of

DAY = pd.Timedelta(days=1)
RECENT, NEW = 28 * DAY, 28 * DAY  # purchases that make a bestseller; how long a product is new
BESTSELLERS, FEWEST_SOLD = 3, 10  # of a category; purchases that each of them has at least
WELL_RATED = 4.5  # stars of five
FEW_LEFT = 10  # pieces


@dataclass(frozen=True)
class ProductFacts:
    """The facts; None or False where the tables do not say so.

    price, list_price: in the data set's currency (`price`, `feature_list_price`); rating: stars, 0 to 5
    (`feature_rating`); stock: pieces (`feature_stock`); bestseller: among the three most bought of its category in the
    log's last 28 days; buyers: shoppers who bought it then; new: in the shop (`features_from`) for at most 28 days.
    """

    title: str | None = None
    brand: str | None = None
    category: str | None = None
    price: float | None = None
    list_price: float | None = None
    rating: float | None = None
    stock: float | None = None
    bestseller: bool = False
    buyers: int = 0
    new: bool = False

    @property
    def discount(self) -> float | None:
        """Per cent below the list price; None without a list price above the price."""
        if self.price is None or self.list_price is None or self.list_price <= self.price:
            return None
        return 100 * (1 - self.price / self.list_price)

    def backs(self, claim: Claim) -> bool:
        """Whether the facts back the claim, its number included; no fact backs a kind that is not listed here."""
        number = claim.number
        checks = {
            "discount": self.discount is not None and (number is None or number <= self.discount + 0.5),
            "rating": self.rating is not None and self.rating >= max(WELL_RATED, number or 0),
            "scarcity": self.stock is not None and 0 < self.stock <= FEW_LEFT and number in (None, self.stock),
            "popularity": self.bestseller if number is None else self.buyers >= number,
            "price": self.price is not None and number is not None and math.isclose(number, self.price, abs_tol=0.005),
            "novelty": self.new,
        }
        return checks.get(claim.kind, False)

    def ungrounded(self, text: str | None) -> Claim | None:
        """The first claim of a text that the facts do not back; None if they back all."""
        return next((claim for claim in claims_of(text or "") if not self.backs(claim)), None)


NOTHING_KNOWN = ProductFacts()


def facts_by_product(tables: Mapping[str, pd.DataFrame]) -> dict[str, ProductFacts]:
    """The facts of each product, from `products` and `events`, as of the last impression."""
    products = tables.get("products")
    if products is None:
        return {}
    now = tables["impressions"]["timestamp"].max()
    sold, buyers = _purchases(tables.get("events"), now)
    ranked = sold.reindex(products["product_id"]).fillna(0).to_numpy()
    place = pd.Series(ranked, index=products.index).groupby(products["category"]).rank(method="min", ascending=False)
    known = products.assign(
        bestseller=(place <= BESTSELLERS).fillna(False) & (ranked >= FEWEST_SOLD),
        buyers=buyers.reindex(products["product_id"]).fillna(0).to_numpy(),
        new=_is_new(products, now),
    )
    return {row["product_id"]: _facts(row) for row in known.to_dict("records")}


def _purchases(events: pd.DataFrame | None, now: pd.Timestamp) -> tuple[pd.Series, pd.Series]:
    """Purchases and distinct buyers of each product in the RECENT days before `now`, by product_id."""
    if events is None:
        return pd.Series(dtype="float64"), pd.Series(dtype="float64")
    recent = events["timestamp"].gt(now - RECENT) & events["timestamp"].le(now)
    bought = events[recent & events["kind"].eq("purchase") & events["product_id"].notna()]
    by_product = bought.groupby("product_id")["shopper_id"]
    return by_product.size(), by_product.nunique()


def _is_new(products: pd.DataFrame, now: pd.Timestamp) -> pd.Series:
    if "features_from" not in products:
        return pd.Series(False, index=products.index)
    since = pd.to_datetime(products["features_from"], utc=True)
    return since.gt(now - NEW) & since.le(now)


def _facts(row: Mapping[str, object]) -> ProductFacts:
    texts = {name: row.get(name) if isinstance(row.get(name), str) else None for name in ("title", "brand", "category")}
    return ProductFacts(
        **texts,
        price=_number(row.get("price")),
        list_price=_number(row.get("feature_list_price")),
        rating=_number(row.get("feature_rating")),
        stock=_number(row.get("feature_stock")),
        bestseller=bool(row["bestseller"]),
        buyers=int(row["buyers"]),
        new=bool(row["new"]),
    )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) and value > 0 else None
