"""What a campaign allows: how often a shopper sees it, what it may spend, and how evenly it spends it.

    paid          bid / 1000 per impression (cpm), or bid per click (cpc); without a bid, nothing
    cap           frequency_cap impressions per shopper and UTC day; 0: never shown
    budget        shown while what is left of it pays for one more impression or click; 0: never shown
    even pace     r = (B - s_0) / (T - t_0)                                                                          (1)
    admitted      p = clip((r (t - t_0 + 1 h) - s) / (r 1 h), 0, 1)                                                  (2)

where B is the budget, T the campaign's end, t_0 the start of the day (or of the campaign), s_0 and s what was spent
before t_0 and since, t now. So what is left is spread evenly over the time that is left, and a campaign that is ahead
takes part in a share p of the requests: probabilistic throttling, as in Agarwal, Ghosh, Wei and You, "Budget pacing for
targeted online advertisements at LinkedIn" (KDD 2014). They change p by 10 % each minute; (2) depends on the spend
alone, so that nothing else has to be stored. (2) decides about the campaign, before a creative is drawn: the creative's
propensity given the campaign stays exact. Amounts are whole millionths of the currency, so that sums are exact.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from components.features.timeline import DAY
from components.settings.errors import UserError

HOUR = DAY // 24
MILLION = 1_000_000
CPM, CPC = "cpm", "cpc"


@dataclass(frozen=True)
class Admission:
    """The probability with which a campaign takes part in a decision, and why it is not 1."""

    probability: float = 1.0
    reason: str = ""


ADMITTED = Admission()


@dataclass(frozen=True)
class Delivered:
    """What a campaign delivered. spent_before, spent_today: before the current UTC day and since, in millionths of the
    currency. shown_today: how often the request's shopper saw it today; 0 if nobody may know.
    """

    spent_before: int = 0
    spent_today: int = 0
    shown_today: int = 0


# campaign -> whether it may take part in the decision that is asked for
Limits = Callable[[str], Admission]


def no_limits(campaign: str) -> Admission:
    """Every campaign may take part."""
    return ADMITTED


@dataclass(frozen=True)
class CampaignTerms:
    """A campaign's row of the contract. None: no budget, no cap, no end.

    bid (per impression or click) and budget in millionths of the currency; starts_at, ends_at: microseconds since 1970.
    """

    campaign: str
    billing: str
    bid: int
    budget: int | None
    frequency_cap: int | None
    starts_at: int
    ends_at: int | None

    def paid(self, impressions: int, clicks: int) -> int:
        """What the advertiser owes for them, in millionths of the currency."""
        return self.bid * (impressions if self.billing == CPM else clicks)

    def earned(self, p_click: float) -> float:
        """What an impression is expected to earn, in the currency; p_click: its probability of a click, for cpc."""
        return self.bid / MILLION * (1.0 if self.billing == CPM else p_click)

    def admission(self, delivered: Delivered, moment: int) -> Admission:
        """Whether the campaign takes part in a decision at `moment`, microseconds since 1970."""
        cap, budget = self.frequency_cap, self.budget
        if cap is not None and delivered.shown_today >= cap:
            text = "is 0" if cap == 0 else f"of {cap} impressions a day is reached for this shopper"
            return Admission(0.0, f"the frequency cap of campaign {self.campaign} {text}")
        if budget is None:
            return ADMITTED
        spent = delivered.spent_before + delivered.spent_today
        if spent >= budget or spent + self.bid > budget:
            return Admission(0.0, f"the budget of campaign {self.campaign}, {budget / MILLION:g}, is spent")
        share = self._pace(budget, delivered, moment)
        if share >= 1.0:
            return ADMITTED
        text = f"campaign {self.campaign} is ahead of an even spending of its budget and takes part in {share:.0%} of"
        return Admission(share, f"{text} the requests")

    def _pace(self, budget: int, delivered: Delivered, moment: int) -> float:
        """Equation (2)."""
        begun = max(moment // DAY * DAY, self.starts_at)
        if self.ends_at is None or self.ends_at <= begun:
            return 1.0
        pace = (budget - delivered.spent_before) / (self.ends_at - begun)
        ahead = pace * (moment - begun + HOUR) - delivered.spent_today
        return min(max(ahead / (pace * HOUR), 0.0), 1.0)


def campaign_terms(campaigns: pd.DataFrame) -> dict[str, CampaignTerms]:
    """The terms of each campaign in a table of the contract. UserError names a value that it does not allow."""
    rows = campaigns.reindex(columns=["campaign", "billing", "bid", "budget", "frequency_cap", "starts_at", "ends_at"])
    return {row.campaign: _terms(row) for row in rows.itertuples(index=False)}


def _terms(row) -> CampaignTerms:
    if row.billing not in (CPM, CPC):
        raise UserError(f"campaigns: the billing of {row.campaign} is {row.billing!r}, not cpm or cpc")
    bid, budget, cap = (_amount(row.campaign, name, getattr(row, name)) for name in ("bid", "budget", "frequency_cap"))
    starts_at, ends_at = (None if pd.isna(time) else int(time.value // 1000) for time in (row.starts_at, row.ends_at))
    each = 1000 if row.billing == CPM else 1
    return CampaignTerms(
        row.campaign,
        row.billing,
        bid=round((bid or 0.0) * MILLION / each),
        budget=None if budget is None else round(budget * MILLION),
        frequency_cap=None if cap is None else int(cap),
        starts_at=starts_at or 0,
        ends_at=ends_at,
    )


def _amount(campaign: str, column: str, value) -> float | None:
    if pd.isna(value):
        return None
    if not math.isfinite(value) or value < 0:
        raise UserError(f"campaigns: the {column} of {campaign} is {value:g}; it must be 0 or more, and finite")
    return float(value)
