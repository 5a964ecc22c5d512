"""A policy that answers one request at a time, with the probabilities of its package and without tables.

`OnlinePolicy` is built once from a catalogue of creatives and the rule that weighs them: a form of a policy's package,
or a uniform choice where no policy may act. A request names campaigns, a moment and maybe a shortlist; eligible are the
campaign's creatives that are active at the moment, both ends included, as in eligible.py, and in the shortlist, if the
campaign's limits admit it (campaign_limits.py). Among several campaigns one is drawn first (campaign_choice.py), so the
propensity is the probability of the creative given the campaign. Draws depend on the decision's id and a seed alone: a
decision can be repeated.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b

import numpy as np
import pandas as pd

from components.features.timeline import microseconds
from components.policies.campaign_choice import evenly
from components.policies.campaign_limits import Limits, no_limits
from components.policies.decision_table import ANY, CELL
from components.policies.policy_package import PER_SHOPPER, TABLE, PolicyPackage, lowest_for_unknown
from components.policies.policy_protocol import Choices
from components.policies.table_reasons import Sentences, table_sentences
from components.settings.errors import UserError

MOST_REASONS = 3  # that a message lists
ALWAYS_FROM, ALWAYS_UNTIL = np.iinfo(np.int64).min, np.iinfo(np.int64).max


class UnknownCampaign(UserError):
    """A request names a campaign that the catalogue does not have."""


class NothingEligible(UserError):
    """No creative of the named campaigns is active and in the shortlist, or no campaign's limits admit it."""


@dataclass(frozen=True)
class AdRequest:
    """One decision to make.

    decision_id: the impression's id. moment: microseconds since 1970. campaigns: one of which is to show an ad; empty:
    any. shopper_id: None for a shopper who is unknown or without consent. placement: None if unknown. shortlist: the
    creatives that the page can show; None: all.
    """

    decision_id: str
    moment: int
    campaigns: tuple[str, ...] = ()
    shopper_id: str | None = None
    placement: str | None = None
    shortlist: frozenset[str] | None = None


@dataclass(frozen=True)
class AdDecision:
    """creative_ids: str [n], the eligible creatives of `campaign`; probabilities: float64 [n], of showing each; chosen:
    the position of the one to show. campaign_probability: with which the campaign was drawn; 1 if there was one.
    reasons: why this creative; None: not known, or not asked.
    """

    campaign: str
    creative_ids: np.ndarray
    probabilities: np.ndarray
    chosen: int
    campaign_probability: float = 1.0
    reasons: Sentences | None = None

    @property
    def creative_id(self) -> str:
        """The creative to show."""
        return self.creative_ids[self.chosen]

    @property
    def propensity(self) -> float:
        """The probability with which it was chosen, in (0, 1]."""
        return float(self.probabilities[self.chosen])


@dataclass(frozen=True)
class CampaignCreatives:
    """The k creatives of a campaign: rows of the catalogue int64 [k], ids str [k], and int64 [k] microseconds."""

    rows: np.ndarray
    creative_ids: np.ndarray
    active_from: np.ndarray
    active_until: np.ndarray


@dataclass(frozen=True)
class Eligible:
    """The creatives of a campaign among which a request's decision is made. places: int64 [n], in `creatives`.

    probability: with which the campaign was drawn.
    """

    campaign: str
    creatives: CampaignCreatives
    places: np.ndarray
    probability: float = 1.0

    @property
    def rows(self) -> np.ndarray:
        """Rows of the catalogue, int64 [n]."""
        return self.creatives.rows[self.places]

    @property
    def creative_ids(self) -> np.ndarray:
        """str [n]."""
        return self.creatives.creative_ids[self.places]

    @property
    def offsets(self) -> np.ndarray:
        """int64 [2], of the one decision."""
        return np.array([0, len(self.places)])


# request, decision -> why its creative is shown; None: not known
Explain = Callable[[AdRequest, AdDecision], Sentences | None]
# the campaigns among which one is drawn -> the probability of each, float64 [n]
ChooseCampaign = Callable[[Sequence[Eligible]], np.ndarray]
# rows of the catalogue int64 [n] -> P(click) of the request's shopper float64 [n]
ClickProbabilities = Callable[[np.ndarray], np.ndarray]
# rows of the catalogue int64 [n] -> standard errors of these P(click), without what all of the n share, float64 [n]
ClickErrors = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class ClickScores:
    """What an interest model says of the request's shopper: P(click) and its standard errors; None: not known."""

    probabilities: ClickProbabilities | None = None
    errors: ClickErrors | None = None


# request, eligible creatives, the interest model's scores -> the probability of showing each, float64 [n]
Weigh = Callable[[AdRequest, Eligible, ClickScores], np.ndarray]


class OnlinePolicy:
    """The creatives of a catalogue by campaign, and the rule that gives them probabilities."""

    def __init__(
        self,
        catalogue: pd.DataFrame,
        weigh: Weigh,
        *,
        needs_clicks: bool = False,
        needs_errors: bool = False,
        explain: Explain = lambda request, decision: None,
        seed: int = 0,
    ):
        """catalogue: creative_id, campaign, active_from, active_until (null: always). seed: of the draws.

        needs_clicks, needs_errors: whether `weigh` needs the P(click) of an interest model, and its standard errors.
        explain: gives the reasons of decisions that need no interest model.
        """
        self.catalogue, self.needs_clicks, self.needs_errors = catalogue, needs_clicks, needs_errors
        self.explain = explain
        self._weigh, self._key = weigh, seed.to_bytes(8, "big")
        self._campaigns = _by_campaign(catalogue)

    def eligible(self, request: AdRequest, limits: Limits = no_limits, choose: ChooseCampaign = evenly) -> Eligible:
        """The creatives among which `decide` chooses. UnknownCampaign or NothingEligible if there are none.

        limits: of the campaigns, for this request. choose: among several of them.
        """
        unknown = [name for name in request.campaigns if name not in self._campaigns]
        if unknown:
            raise UnknownCampaign(f"campaign {unknown[0]!r} is not in the catalogue")
        names = dict.fromkeys(request.campaigns) or self._campaigns
        found = [self._active(name, request) for name in names]
        found = [eligible for eligible in found if len(eligible.places)]
        if not found:
            listed = "" if request.shortlist is None else " and in the shortlist"
            raise NothingEligible(f"no creative of {', '.join(request.campaigns) or 'any campaign'} is active{listed}")
        found = self._admitted(found, request, limits)
        if len(found) == 1:
            return found[0]
        probabilities = choose(found)
        drawn = _drawn(probabilities, self._uniform(request, "campaign"))
        return replace(found[drawn], probability=float(probabilities[drawn]))

    def decide(
        self,
        request: AdRequest,
        eligible: Eligible,
        clicks: ClickProbabilities | None = None,
        errors: ClickErrors | None = None,
    ) -> AdDecision:
        """The probabilities of the `eligible` creatives, and one of them drawn from these probabilities."""
        if self.needs_clicks and clicks is None:
            raise ValueError("this policy needs the interest model's probabilities")
        if self.needs_errors and errors is None:
            raise ValueError("this policy needs the standard errors of the interest model's probabilities")
        probabilities = self._weigh(request, eligible, ClickScores(clicks, errors))
        drawn = _drawn(probabilities, self._uniform(request, "creative"))
        return AdDecision(eligible.campaign, eligible.creative_ids, probabilities, drawn, eligible.probability)

    def _active(self, campaign: str, request: AdRequest) -> Eligible:
        creatives, moment = self._campaigns[campaign], request.moment
        active = (creatives.active_from <= moment) & (moment <= creatives.active_until)
        if request.shortlist is not None:
            active &= np.array([name in request.shortlist for name in creatives.creative_ids], dtype=bool)
        return Eligible(campaign, creatives, np.flatnonzero(active))

    def _admitted(self, found: list[Eligible], request: AdRequest, limits: Limits) -> list[Eligible]:
        """Those whose campaign's limits admit it. NothingEligible with the reasons if there is none."""
        admissions = [limits(eligible.campaign) for eligible in found]
        admitted = [
            eligible
            for eligible, admission in zip(found, admissions, strict=True)
            if admission.probability >= 1.0 or self._uniform(request, "pace", eligible.campaign) < admission.probability
        ]
        if not admitted:
            more = len(found) - MOST_REASONS
            named = "; ".join(admission.reason for admission in admissions[:MOST_REASONS])
            raise NothingEligible(f"{named}; and {more} more" if more > 0 else named)
        return admitted

    def _uniform(self, request: AdRequest, purpose: str, of: str = "") -> float:
        """A number in [0, 1) by a keyed hash of the decision's id and of what is drawn."""
        drawn = f"{request.decision_id}\n{of}" if of else request.decision_id
        digest = blake2b(drawn.encode(), key=self._key, person=purpose.encode(), digest_size=8).digest()
        return (int.from_bytes(digest, "big") >> 11) * 2.0**-53


def _drawn(probabilities: np.ndarray, uniform: float) -> int:
    """The place that a uniform number in [0, 1) draws from probabilities float64 [n]."""
    cumulative = np.cumsum(probabilities)
    drawn = np.searchsorted(cumulative, uniform * cumulative[-1], side="right")
    return min(int(drawn), int(np.flatnonzero(probabilities)[-1]))  # rounding could lead beyond the last one


def online_policy(package: PolicyPackage, form: str, seed: int = 0) -> OnlinePolicy:
    """The `form` of a package, with the probabilities of `PolicyPackage.probabilities`."""
    if form == TABLE:
        lookup = _TableLookup(package)
        return OnlinePolicy(package.catalogue, lookup.weigh, explain=lookup.explain, seed=seed)
    if form == PER_SHOPPER:
        rule = _PerShopper(package)
        errors = package.parameters.errors
        return OnlinePolicy(
            package.catalogue, rule.weigh, needs_clicks=package.scores is None, needs_errors=errors, seed=seed
        )
    raise ValueError(f"a policy has no form {form!r}")


def uniform_policy(catalogue: pd.DataFrame, seed: int = 0) -> OnlinePolicy:
    """Every eligible creative with the same probability."""
    return OnlinePolicy(catalogue, lambda request, eligible, clicks: np.full(
        len(eligible.places), 1.0 / len(eligible.places)
    ), seed=seed)  # fmt: skip


class _TableLookup:
    """The form `table`: DecisionTable.probabilities for one request, its cells held by key."""

    def __init__(self, package: PolicyPackage):
        self._parameters = package.parameters
        self._new = package.catalogue["new"].to_numpy(dtype=bool)
        self._segments = _segments_of(package)
        campaigns = _by_campaign(package.catalogue)
        self._cells: dict[tuple[str, str, str], np.ndarray] = {}
        for key, rows in package.decisions.groupby(CELL, sort=False):
            if key[2] in campaigns:
                weight = rows.set_index("creative_id")["probability"].reindex(campaigns[key[2]].creative_ids)
                self._cells[key] = weight.fillna(0.0).to_numpy(dtype=np.float64)
        self._sentences = {} if package.reasons is None else table_sentences(package.reasons)

    def weigh(self, request: AdRequest, eligible: Eligible, clicks: ClickScores) -> np.ndarray:
        cell = self._cell(request, eligible.campaign)
        weight = np.zeros(len(eligible.places)) if cell is None else self._cells[cell][eligible.places]
        return self._parameters.floored(weight, self._new[eligible.rows], eligible.offsets)

    def explain(self, request: AdRequest, decision: AdDecision) -> Sentences | None:
        """Known of the creative that the request's cell shows most."""
        cell = self._cell(request, decision.campaign)
        return None if cell is None else self._sentences.get((*cell, decision.creative_id))

    def _cell(self, request: AdRequest, campaign: str) -> tuple[str, str, str] | None:
        """The cell that answers the request; None if the table has none."""
        segment, placement = self._segments.get(request.shopper_id, ANY), request.placement or ANY
        cells = ((segment, placement, campaign), (ANY, placement, campaign), (ANY, ANY, campaign))
        return next((cell for cell in cells if cell in self._cells), None)


class _PerShopper:
    """The form `per_shopper`: PolicyPackage.per_shopper for one request, its columns held as arrays."""

    def __init__(self, package: PolicyPackage):
        catalogue = package.catalogue
        count = len(catalogue)
        self._parameters, self._policy = package.parameters, package.parameters.policy_of(PER_SHOPPER)
        self._new = catalogue["new"].to_numpy(dtype=bool)
        self._preference = catalogue["preference"].fillna(0.0).to_numpy(dtype=np.float64)
        value = catalogue["value"].fillna(1.0) if "value" in catalogue else pd.Series(np.ones(count))
        self._value = value.to_numpy(dtype=np.float64)
        self._segments = _segments_of(package)
        self._scores: dict[str, np.ndarray] | None = None
        if package.scores is not None:
            names = {ANY, *package.scores.rows["segment"]}
            of, ids = package.scores.of, catalogue["creative_id"]
            self._scores = {name: of(np.full(count, name, dtype=object), ids) for name in names}

    def weigh(self, request: AdRequest, eligible: Eligible, clicks: ClickScores) -> np.ndarray:
        rows, offsets = eligible.rows, eligible.offsets
        errors = clicks.errors(rows) * self._value[rows] if self._parameters.errors else None
        choices = Choices(
            offsets=offsets,
            scores=self._score(request, rows, offsets, clicks) * self._value[rows],
            score_errors=errors,
            preference=self._preference[rows],
            decision_ids=np.array([request.decision_id], dtype=object),
            creative_ids=eligible.creative_ids,
        )
        return self._parameters.floored(self._policy.probabilities(choices), self._new[rows], offsets)

    def _score(self, request: AdRequest, rows: np.ndarray, offsets: np.ndarray, clicks: ClickScores) -> np.ndarray:
        if self._scores is None:
            return clicks.probabilities(rows)
        segment = self._segments.get(request.shopper_id, ANY)
        return lowest_for_unknown(self._scores.get(segment, self._scores[ANY])[rows], offsets)


def _by_campaign(catalogue: pd.DataFrame) -> dict[str, CampaignCreatives]:
    creative_ids = catalogue["creative_id"].to_numpy(dtype=object)
    begin, end = (
        _moments(catalogue[name], otherwise)
        for name, otherwise in (("active_from", ALWAYS_FROM), ("active_until", ALWAYS_UNTIL))
    )
    groups = catalogue.reset_index(drop=True).groupby("campaign", sort=True).indices
    return {name: CampaignCreatives(rows, creative_ids[rows], begin[rows], end[rows]) for name, rows in groups.items()}


def _moments(times: pd.Series, otherwise: int) -> np.ndarray:
    """int64 [n], microseconds since 1970; `otherwise` for null."""
    moments = np.full(len(times), otherwise, dtype=np.int64)
    known = times.notna().to_numpy()
    moments[known] = microseconds(pd.to_datetime(times[known], utc=True))
    return moments


def _segments_of(package: PolicyPackage) -> dict[str, str]:
    return dict(zip(package.segments["shopper_id"], package.segments["segment"], strict=True))
