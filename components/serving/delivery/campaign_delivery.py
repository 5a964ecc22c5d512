"""What each campaign has delivered, from which the limits of the next decision follow (policies/campaign_limits.py).

An ad was delivered when it was reported as shown or clicked. The spending of each campaign and UTC day is a row of the
journal's database that changes in the transaction of the report, at the bid of that moment, so it is exact after a kill
and stays when the reports themselves are collected; it is read once at the start. How often a shopper saw a campaign
today is counted in the shopper's history. A decision whose ad was not reported yet counts as shown for OPEN_SECONDS, so
that the ads of one page do not pass a cap or a budget together.
"""

import logging
import sqlite3
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from components.features.timeline import DAY
from components.policies.campaign_limits import ADMITTED, CPM, Admission, CampaignTerms, Delivered, Limits
from components.policies.online_policy import AdRequest
from components.serving.journal import Row, TrackedRow, connect
from components.serving.tracking import CLICK, IMPRESSION

log = logging.getLogger("adloom")

OPEN_SECONDS = 60
EXISTS = "SELECT 1 FROM sqlite_master WHERE name = 'campaign_spending'"
SCHEMA = """CREATE TABLE campaign_spending (
    campaign TEXT NOT NULL, day INTEGER NOT NULL, impressions INTEGER NOT NULL, clicks INTEGER NOT NULL,
    spent INTEGER NOT NULL, PRIMARY KEY (campaign, day)) WITHOUT ROWID"""
ADD = """INSERT INTO campaign_spending VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
impressions = impressions + excluded.impressions, clicks = clicks + excluded.clicks, spent = spent + excluded.spent"""
REPORTED = f"SELECT count(*) FROM tracked WHERE id = ? AND kind IN ('{IMPRESSION}', '{CLICK}')"
REPORTS = f"""SELECT t.kind, t.id, t.ingested, d.campaign FROM tracked t JOIN decisions d ON d.decision_id = t.id
WHERE t.kind IN ('{IMPRESSION}', '{CLICK}') ORDER BY t.ingested, t.kind"""
OPEN = f"""SELECT d.decision_id, d.moment, d.campaign, d.shopper_id FROM decisions d
WHERE d.moment >= ? AND NOT EXISTS (
    SELECT 1 FROM tracked t WHERE t.id = d.decision_id AND t.kind IN ('{IMPRESSION}', '{CLICK}')) ORDER BY d.moment"""


@dataclass(frozen=True)
class Report:
    """An ad that was newly reported as shown or clicked. day: since 1970; spent: millionths of the currency."""

    decision_id: str
    campaign: str
    day: int
    impressions: int
    clicks: int
    spent: int


class CampaignDelivery:
    """The deliveries in the journal at `path`.

    terms: of the campaigns. shown: shopper_id and a UTC day since 1970 ->
    campaign -> how often the shopper saw it that day; may_know: whether a shopper may be counted.
    """

    def __init__(
        self,
        path: Path,
        terms: Mapping[str, CampaignTerms],
        shown: Callable[[str, int], Mapping[str, int]],
        may_know: Callable[[str | None], bool],
        now: int,
    ):
        self.use(terms)
        self._shown, self._may_know = shown, may_know
        self._lock = threading.Lock()
        self._reports: list[Report] = []  # of the transaction in progress
        self._spent: dict[str, Counter[int]] = {}  # campaign -> day -> millionths
        self._open: dict[str, tuple[str, int, str | None]] = {}  # decision_id -> campaign, day, shopper_id
        self._due: deque[tuple[int, str]] = deque()  # when a decision stops being open
        self._open_of: Counter = Counter()  # of campaigns, and of (campaign, day, shopper_id)
        with closing(connect(path)) as connection:
            self._read(connection, now)

    def use(self, terms: Mapping[str, CampaignTerms]) -> None:
        """The terms from now on; a budget without a bid is told."""
        self.terms = terms
        for campaign in (campaign for campaign, row in terms.items() if row.budget and not row.bid):
            log.warning("campaign %s has a budget and no bid, so nothing is counted against the budget", campaign)

    def limits(self, request: AdRequest) -> Limits:
        """The limits of the campaigns for one request."""
        self._close_old(request.moment)
        today, shopper = request.moment // DAY, request.shopper_id
        seen: Mapping[str, int] | None = None

        def admission(campaign: str) -> Admission:
            nonlocal seen
            terms = self.terms.get(campaign)
            if terms is None or (terms.budget is None and terms.frequency_cap is None):
                return ADMITTED
            delivered = self._delivered(terms, today, shopper)  # before `seen`: a report in between counts twice
            if terms.frequency_cap and shopper is not None:
                seen = self._shown(shopper, today) if seen is None else seen
            if seen and campaign in seen:
                delivered = replace(delivered, shown_today=delivered.shown_today + seen[campaign])
            return terms.admission(delivered, request.moment)

        return admission

    def decided(self, request: AdRequest, campaign: str) -> None:
        """Count the ad of a decision as shown until it is reported, or for OPEN_SECONDS."""
        self._hold(request.decision_id, request.moment, campaign, request.shopper_id)

    def released(self, decision_id: str) -> None:
        """No longer count the ad of a decision that was not answered."""
        with self._lock:
            self._release(decision_id)

    def applied(self, connection: sqlite3.Connection, row: Row) -> None:
        """Add a newly stored row of the journal to the spending, in its transaction."""
        if not isinstance(row, TrackedRow) or row.kind not in (IMPRESSION, CLICK):
            return
        decided = connection.execute("SELECT campaign FROM decisions WHERE decision_id = ?", (row.id,)).fetchone()
        if decided is not None:
            (reported,) = connection.execute(REPORTED, (row.id,)).fetchone()
            report = self._report(row.kind, row.id, row.ingested, decided[0], reported == 1)
            _add(connection, report)
            self._reports.append(report)

    def settled(self, stored: bool) -> None:
        """Count what the transaction that ended has `stored`; forget it if it was rolled back."""
        reports, self._reports = self._reports, []
        if stored:
            with self._lock:
                for report in reports:
                    self._spent.setdefault(report.campaign, Counter())[report.day] += report.spent
                    self._release(report.decision_id)

    def _delivered(self, terms: CampaignTerms, today: int, shopper: str | None) -> Delivered:
        """What is known without the shopper's history."""
        with self._lock:
            by_day = self._spent.get(terms.campaign, {})
            spent_today = by_day.get(today, 0)
            before = sum(by_day.values()) - spent_today
            awaited = terms.paid(self._open_of[terms.campaign], 0)
            shown = 0 if shopper is None else self._open_of[terms.campaign, today, shopper]
        return Delivered(before, spent_today + awaited, shown)

    def _hold(self, decision_id: str, moment: int, campaign: str, shopper: str | None) -> None:
        terms = self.terms.get(campaign)
        if terms is None or not (terms.frequency_cap or (terms.billing == CPM and terms.budget is not None)):
            return
        with self._lock:
            key = campaign, moment // DAY, shopper
            self._open[decision_id] = key
            self._due.append((moment + OPEN_SECONDS * 1_000_000, decision_id))
            self._open_of[campaign] += 1
            self._open_of[key] += 1

    def _release(self, decision_id: str) -> None:
        key = self._open.pop(decision_id, None)
        for name in () if key is None else (key[0], key):
            self._open_of[name] -= 1
            if not self._open_of[name]:
                del self._open_of[name]

    def _close_old(self, now: int) -> None:
        with self._lock:
            while self._due and self._due[0][0] <= now:
                self._release(self._due.popleft()[1])

    def _report(self, kind: str, decision_id: str, ingested: int, campaign: str, first: bool) -> Report:
        """first: whether it is the first report of the decision, which says that the ad was shown."""
        impressions, clicks = int(first), int(kind == CLICK)
        terms = self.terms.get(campaign)
        spent = 0 if terms is None else terms.paid(impressions, clicks)
        return Report(decision_id, campaign, ingested // DAY, impressions, clicks, spent)

    def _read(self, connection: sqlite3.Connection, now: int) -> None:
        """The spending and the open decisions; a journal of an earlier release has no spending, and gets it."""
        if connection.execute(EXISTS).fetchone() is None:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(SCHEMA)
            seen: set[str] = set()
            for kind, decision_id, ingested, campaign in connection.execute(REPORTS).fetchall():
                _add(connection, self._report(kind, decision_id, ingested, campaign, decision_id not in seen))
                seen.add(decision_id)
            connection.execute("COMMIT")
        for campaign, day, spent in connection.execute("SELECT campaign, day, spent FROM campaign_spending"):
            self._spent.setdefault(campaign, Counter())[day] = spent
        for decision_id, moment, campaign, shopper in connection.execute(OPEN, (now - OPEN_SECONDS * 1_000_000,)):
            self._hold(decision_id, moment, campaign, shopper if self._may_know(shopper) else None)


def _add(connection: sqlite3.Connection, report: Report) -> None:
    fields = report.campaign, report.day, report.impressions, report.clicks, report.spent
    connection.execute(ADD, fields)
