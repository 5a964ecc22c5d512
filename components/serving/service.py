"""The service of one data set: decisions that are logged before they are answered, and what is reported of them."""

import asyncio
import logging
import sqlite3
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from upath import UPath

from components.policies.online_policy import AdDecision, AdRequest, NothingEligible, UnknownCampaign
from components.registry.promotion import CHALLENGER
from components.serving.champion_watch import ChampionWatch
from components.serving.delivery.campaign_delivery import CampaignDelivery
from components.serving.history_store import HistoryStore
from components.serving.http_api.http_messages import Chosen, DecideOne, Refused, TrackedAnswer, TrackEvent
from components.serving.http_api.signed_addresses import SignedAddresses
from components.serving.journal import DecisionRow, Journal, JournalFailed, Row, TrackedRow
from components.serving.pool_copies import copy_pool
from components.serving.served_policy import ServedPolicy
from components.serving.server_clock import now_microseconds
from components.serving.service_metrics import ServiceMetrics
from components.serving.shadow import Shadow
from components.serving.shop_tables import CONTEXT, ShopTables, current_shop
from components.serving.streams.kafka_streams import KafkaStreams
from components.serving.tracking import Tracked, outcomes, rows_of
from components.settings.errors import UserError
from components.settings.sections import ServingConfig

log = logging.getLogger("adloom")

STATUS = {UnknownCampaign: 404, NothingEligible: 409}  # else 422
ANONYMOUS = "anonymous"  # in the log, the shopper of a request that names none: each such row counts as its own shopper


class WrongContext(UserError):
    """A request has a context that the log has no column for."""


class Service:
    """Answers the requests of one data set. data: its folder; folder: of the journal, whose lock the caller holds."""

    def __init__(self, shop: ShopTables, config: ServingConfig, data: UPath, folder: Path):
        self.config, self.metrics = config, ServiceMetrics()
        self._data, self._folder, self._followed = data, folder, shop
        self.watch = ChampionWatch(
            shop, config, lambda known: current_shop(known, data), changed=self._looked, acts=self.prepare
        )
        self.journal = Journal(folder, self._applied, lambda stored: self.delivery.settled(stored))
        self.history = HistoryStore(self.journal.path, config.history_days, self._may_know)
        self.delivery = CampaignDelivery(
            self.journal.path, shop.terms, self.history.shown_on, self._may_know, now_microseconds()
        )
        self.history.prune(now_microseconds())
        self._forget()
        self.challenger = ChampionWatch(shop, config, lambda known: self.shop, alias=CHALLENGER, acts=self.prepare)
        self.shadow = Shadow(self._challenging, self.history.rows, self.metrics)
        self.addresses = SignedAddresses.of(folder, config.public_url or "")
        self.streams = None if config.kafka is None else KafkaStreams(config.kafka, self.journal, self.metrics.registry)

    @property
    def shop(self) -> ShopTables:
        """The tables by which requests are answered now."""
        return self.watch.current.shop

    async def decide(self, requests: Sequence[DecideOne]) -> list[Chosen | Refused]:
        """An ad for each request, or why there is none; after all decisions are durable. JournalFailed if not.

        WrongContext, and no decision, if a request's context is wrong.
        """
        policy = self.watch.current
        try:
            contexts = [_context(one, policy.shop) for one in requests]
        except WrongContext:
            self.metrics.refused.labels("422").inc()
            raise
        made = [self._decide(policy, one, context) for one, context in zip(requests, contexts, strict=True)]
        logged = [one.row for one in made if one.row is not None]
        if logged:
            await self._log(logged)
        for one in made:
            if one.row is not None and one.asked is not None and one.shown is not None:
                self.metrics.decisions.labels(one.row.logging_policy).inc()
                self.shadow.compare(*one.asked, one.shown)
        return [one.answer for one in made]

    async def track(self, events: Sequence[TrackEvent]) -> list[TrackedAnswer]:
        """What became of each event, after those that are new are durable. JournalFailed if they are not."""
        rows = rows_of(events, self.journal, now_microseconds())
        written = [row for row in rows if not isinstance(row, Tracked)]
        results = outcomes(rows, await asyncio.wrap_future(self.journal.submit(written)) if written else [])
        for event, result in zip(events, results, strict=True):
            self.metrics.tracked.labels(event.type, result.status).inc()
        return [TrackedAnswer(status=result.status, detail=result.detail) for result in results]

    async def report(self, kinds: Sequence[str], decision_id: str) -> None:
        """Log that the ad of a decision was shown or clicked (`kinds`), by one of its signed addresses."""
        if self.journal.decision(decision_id) is not None:
            now = now_microseconds()
            await asyncio.wrap_future(
                self.journal.submit([TrackedRow(kind, decision_id, now, now, {}) for kind in kinds])
            )

    def close(self) -> None:
        """Finish what waits, and close the journal."""
        if self.streams is not None:
            self.streams.close()
        self.shadow.close()
        self.journal.close()
        self.history.close()

    def prepare(self, package: UPath, digest: str, policy: ServedPolicy) -> None:
        """Copy a new champion's pool, and load the histories that it needs, before it acts."""
        copy_pool(package, digest, self._folder)
        if policy.features is not None:
            card = self.shop.card
            count = self.history.load(
                self._data, f"{card.name} until {card.ends_at:%Y-%m-%d %H:%M}", now_microseconds()
            )
            log.info("%s: %s rows of shoppers' histories were loaded", card.name, f"{count:,}")

    def _may_know(self, shopper_id: str | None) -> bool:
        return self.shop.may_know(shopper_id)

    def _looked(self) -> None:
        """After each look at the registry and the shop's tables."""
        self.metrics.watch(self.watch.status)
        before, self._followed = self._followed, self.shop
        if self.shop is not before:
            self.delivery.use(self.shop.terms)
            if self.shop.consenting != before.consenting:
                self._forget()

    def _forget(self) -> None:
        gone = self.history.forget()
        if gone:
            log.info("%s: the histories of %s shoppers without consent were deleted", self.shop.card.name, f"{gone:,}")

    def _applied(self, connection: sqlite3.Connection, row: Row) -> None:
        self.history.applied(connection, row)
        self.delivery.applied(connection, row)
        if self.streams is not None:
            self.streams.applied(connection, row)

    async def _log(self, rows: Sequence[DecisionRow]) -> None:
        try:
            await asyncio.wrap_future(self.journal.submit(rows))
        except (JournalFailed, asyncio.CancelledError):  # cancelled: the request took longer than it may
            for row in rows:
                self.delivery.released(row.decision_id)
            raise

    def _challenging(self) -> ServedPolicy | None:
        challenger = self.challenger.current
        return None if challenger.version in (None, self.watch.current.version) else challenger

    def _decide(self, policy: ServedPolicy, one: DecideOne, context: dict[str, object]) -> "_Made":
        begun, request = time.perf_counter(), _request(one, policy.shop)
        asked = request, one.position, sorted(context.items())
        limits = self.delivery.limits(request)
        try:
            decision = policy.decide(*asked, self.history.rows, limits, explain=one.explain)
        except UserError as error:
            status = STATUS.get(type(error), 422)
            self.metrics.refused.labels(str(status)).inc()
            return _Made(Refused(error=str(error), status=status))
        self.delivery.decided(request, decision.campaign)
        row = _logged(request, one, decision, context, policy.logging_policy)
        answer = self._answer(policy, row, one, decision)
        self.metrics.seconds.observe(time.perf_counter() - begun)
        return _Made(answer, row, asked, decision)

    def _answer(self, policy: ServedPolicy, row: DecisionRow, one: DecideOne, decision: AdDecision) -> Chosen:
        facts = None if decision.reasons is None else decision.reasons[policy.shop.languages[row.campaign]]
        ad, now = policy.ads[row.creative_id], row.moment // 1_000_000
        landing = None if one.landing is None else str(one.landing)
        return Chosen(
            decision_id=row.decision_id,
            campaign=row.campaign,
            creative_id=row.creative_id,
            propensity=row.propensity,
            campaign_propensity=row.campaign_propensity,
            headline=ad.headline,
            call_to_action=ad.call_to_action,
            pictures={size: f"{self.addresses.base}/ads/{name}" for size, name in ad.pictures.items()},
            pixel=self.addresses.pixel(row.decision_id, now),
            click=None if landing is None else self.addresses.click(row.decision_id, landing, now),
            policy_version=policy.version,
            logging_policy=policy.logging_policy,
            facts=None if facts is None else list(facts),
            reason=self.watch.status.reason or f"champion, form {policy.form}",
        )


@dataclass(frozen=True)
class _Made:
    """An answer and, if an ad was chosen, its row of the log, what was asked of the policy, and its decision."""

    answer: Chosen | Refused
    row: DecisionRow | None = None
    asked: tuple[AdRequest, int, list[tuple[str, object]]] | None = None
    shown: AdDecision | None = None


def _request(one: DecideOne, shop: ShopTables) -> AdRequest:
    return AdRequest(
        decision_id=uuid.uuid4().hex,
        moment=now_microseconds(),
        campaigns=() if one.campaign is None else (one.campaign,),
        shopper_id=one.shopper_id if shop.may_know(one.shopper_id) else None,
        placement=one.placement,
        shortlist=None if one.shortlist is None else frozenset(one.shortlist),
    )


def _context(one: DecideOne, shop: ShopTables) -> dict[str, object]:
    """The columns `context_*` of the log and their values. WrongContext for an unknown or wrong one."""
    return dict(_column(name, value, shop.context) for name, value in one.context.items())


def _logged(
    request: AdRequest, one: DecideOne, decision: AdDecision, context: dict[str, object], logging_policy: str
) -> DecisionRow:
    return DecisionRow(
        decision_id=request.decision_id,
        moment=request.moment,
        shopper_id=one.shopper_id or ANONYMOUS,
        campaign=decision.campaign,
        position=one.position,
        creative_id=decision.creative_id,
        propensity=decision.propensity,
        logging_policy=logging_policy,
        request_id=one.request_id,
        placement=one.placement,
        context=context,
        candidates=dict(zip(decision.creative_ids, decision.probabilities.tolist(), strict=True)),
        campaign_propensity=decision.campaign_probability,
    )


def _column(name: str, value: object, known) -> tuple[str, object]:
    column = name if name.startswith(CONTEXT) else f"{CONTEXT}{name}"
    if column not in known:
        listed = ", ".join(sorted(known)) or "none"
        raise WrongContext(f"context: the log has no column {column}; it has {listed}")
    kind = {bool: "flag", str: "text"}.get(type(value), "number")
    if kind != known[column]:
        raise WrongContext(f"context: {column} holds a {known[column]}, not the {kind} {value!r}")
    return column, value
