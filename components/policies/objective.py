"""What a policy maximises: what showing a creative earns, as a multiple of its clicks.

    earned(x, a) = P(click | x, a) v(a),   v(a) = 1               objective click
                                                  c(a)            conversion
                                                  c(a) price(a)   revenue                                          (1)
    c(a) = c prod_e c(e(a)) / c                                                                                    (2)

where c(a) is the chance that a click on creative a converts, c the log's conversions per click, and c(l) those of level
l of an element (category of the product, template, headline), shrunken towards c with a weight of PRIOR_CLICKS clicks
(shrunken_rates.py). Conversions are too rare to learn who converts; which creatives convert, such as honest ones and
not clickbait, can be learned. The objective `campaign` is that of each creative's campaign.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.policies.eligible import rows_of
from components.policies.shrunken_rates import overall_rate, product_of_rates, relative_rates, shrunken_rates
from components.settings.errors import UserError

CLICK, CONVERSION, REVENUE, CAMPAIGN = "click", "conversion", "revenue", "campaign"
ELEMENTS = ("category", "template", "headline")
PRIOR_CLICKS = 100.0


@dataclass(frozen=True)
class CreativeValues:
    """What a click on each creative earns. rows: creative_id, objective, value (v of equation (1), > 0) and size: what
    one rewarded impression earns (1, or the price).
    """

    rows: pd.DataFrame

    def of(self, column: str, creative_id: pd.Series) -> np.ndarray:
        """`value` or `size` of each creative, float64 [n]. Raises ValueError for a creative without one."""
        return self.rows[column].to_numpy(dtype=float)[self._rows_of(creative_id)]

    def relative(self, campaign: pd.Series) -> pd.Series:
        """`value` over the highest of the creative's campaign, in (0, 1], by creative_id. campaign: of each row."""
        value = self.rows["value"]
        highest = value.groupby(campaign.to_numpy()).transform("max")
        return pd.Series((value / highest).to_numpy(), index=pd.Index(self.rows["creative_id"]))

    def earned(self, impressions: pd.DataFrame) -> np.ndarray:
        """What each impression earned by the objective of its creative, float64 [n]; NaN if that is not known yet."""
        objective = self.rows["objective"].to_numpy()[self._rows_of(impressions["creative_id"])]
        click = impressions["click"].to_numpy(dtype=float)
        earned = np.where(objective == CLICK, click, np.nan)
        for name in (CONVERSION, REVENUE):
            if name in impressions:
                known = impressions[name].to_numpy(dtype=float, na_value=np.nan)
                earned = np.where(objective == name, np.where(click == 0, 0.0, known), earned)
        return earned

    def _rows_of(self, creative_id: pd.Series) -> np.ndarray:
        row = rows_of(creative_id, self.rows["creative_id"])
        if (row < 0).any():
            raise ValueError(f"creative {creative_id.iloc[int((row < 0).argmax())]} has no value")
        return row


def creative_values(
    objective: str, clicks: pd.DataFrame, tables: Mapping[str, pd.DataFrame], creatives: pd.DataFrame
) -> CreativeValues:
    """The values of `creatives` (the contract's rows and the pool's).

    clicks: creative_id and, if the data set has it, conversion of clicked impressions from which values are learned.
    UserError if the objective needs a column that the data set lacks.
    """
    objectives = np.full(len(creatives), objective, dtype=object)
    if objective == CAMPAIGN:
        of_campaign = tables["campaigns"].set_index("campaign")["objective"]
        objectives = of_campaign.reindex(creatives["campaign"]).to_numpy(dtype=object)
    products = tables.get("products")
    price, category = (
        creatives["product_id"].map(products.set_index("product_id")[name])
        if products is not None and name in products and "product_id" in creatives
        else pd.Series(np.nan, index=creatives.index)
        for name in ("price", "category")
    )
    value, size = np.ones(len(creatives)), np.ones(len(creatives))
    if (objectives != CLICK).any():
        _check(objective, objectives, clicks, price)
        value = np.where(objectives == CLICK, value, _conversion_rates(clicks, creatives.assign(category=category)))
    if (objectives == REVENUE).any():
        known = price.fillna(price.median()).to_numpy(dtype=float)
        value, size = (np.where(objectives == REVENUE, part * known, part) for part in (value, size))
    return CreativeValues(
        pd.DataFrame(
            {"creative_id": creatives["creative_id"], "objective": objectives, "value": value, "size": size}
        ).reset_index(drop=True)
    )


def _check(objective: str, objectives: np.ndarray, clicks: pd.DataFrame, price: pd.Series) -> None:
    place = f"evaluation.policy.objective {objective}"
    if "conversion" not in clicks or clicks["conversion"].isna().all():
        raise UserError(
            f"{place} needs the column conversion of impressions, with final values before the select split"
        )
    if (objectives == REVENUE).any() and not (price > 0).any():
        raise UserError(f"{place} needs the column price of products, for products that creatives advertise")


def _conversion_rates(clicks: pd.DataFrame, creatives: pd.DataFrame) -> np.ndarray:
    """c(a) of equation (2), float64 [n_creatives] in (0, 1). creatives: with the columns ELEMENTS that there are."""
    known = clicks[clicks["conversion"].notna()]
    rate = overall_rate(known["conversion"])
    elements = [name for name in ELEMENTS if name in creatives]
    shown = known.merge(creatives[["creative_id", *elements]], on="creative_id", how="left")
    ratios = [
        relative_rates(creatives[name], shrunken_rates(shown[name], shown["conversion"], rate, PRIOR_CLICKS), rate)
        for name in elements
    ]
    return product_of_rates(rate, ratios, len(creatives))
