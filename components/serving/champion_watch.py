"""The champion that answers requests: loaded from the registry, checked, and replaced when the alias moves.

A request takes `current` once and finishes with it, so a swap loses no request. A new champion that fails a check (its
digest, its signature, its decision, or a file that this release cannot read) is not used: the last good one stays. With
no champion, or none that could be read yet, the choice among the eligible creatives is uniform. Each look also follows
the shop's tables: if they have changed, the same policy goes on by the new ones, swapped at once; if they cannot be
read, it goes on by the last good ones. The challenger is followed in the same way; what it would have shown is only
counted (shadow.py). When people reject new creatives, the same version is loaded again without them.
"""

import logging
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from upath import UPath

from components.registry.decision_records import forms_of
from components.registry.mlflow_store import Version, digest_of, fetch_package, open_store, version_of
from components.registry.promotion import CHAMPION
from components.registry.refresh_records import REFRESH, Deployed, deployed
from components.registry.unreadable_champion import reading_champion
from components.serving.served_policy import ServedPolicy, read_champion, uniform_choice
from components.serving.shop_tables import ShopTables
from components.settings.errors import UserError, first_line
from components.settings.sections import ServingConfig
from components.workflow.creative_review import rejected_keys
from components.workflow.publishing.deployed_policy import POLICY

log = logging.getLogger("adloom")


@dataclass(frozen=True)
class WatchStatus:
    """What answers, and why: `reason` is empty if the registry's champion does, `shop` if it knows the shop's tables as
    they are now. swaps, failures: of champions since the start.
    """

    version: int | None
    form: str
    reason: str
    shop: str
    swaps: int
    failures: int


class ChampionWatch:
    """`current`: the policy that answers now. `refresh` looks at the registry; `run` repeats it until `stop`."""

    def __init__(
        self,
        shop: ShopTables,
        config: ServingConfig,
        look: Callable[[ShopTables], ShopTables] = lambda shop: shop,
        *,
        alias: str = CHAMPION,
        changed: Callable[[], None] = lambda: None,
        acts: Callable[[UPath, str, ServedPolicy], None] = lambda package, digest, policy: None,
    ):
        """look: the shop's tables that were read last -> those of now, which are the same object if nothing changed.
        alias: of the version to follow. changed: called after each look; acts: with the folder of a checked package,
        its digest and the policy, before it is used.
        """
        self.dataset, self._config, self._look = shop.card.name, config, look
        self.current: ServedPolicy = uniform_choice(shop, config.seed)
        self._version: Version | None = None
        self._seen: tuple | None = None  # the aliases and reviews that `current` was made from
        self._rejected: frozenset[str] = frozenset()  # what people rejected when `current` was loaded
        self._alias, self._none = alias, f"{self.dataset} has no {alias}"
        self._shop_reason = ""
        self._reason, self._swaps, self._failures = self._none, 0, 0
        self._changed, self._acts, self._stop = changed, acts, threading.Event()

    @property
    def status(self) -> WatchStatus:
        """What answers now, and why."""
        now = self.current
        return WatchStatus(now.version, now.form, self._reason, self._shop_reason, self._swaps, self._failures)

    def refresh(self) -> None:
        """Use the shop's tables and the champion of the registry, if they pass their checks; never raises an error."""
        self._follow_shop()
        try:
            rejected = rejected_keys(open_store(), f"{self.dataset}-{POLICY}")
            seen = self._aliases(), rejected
            if seen != self._seen:
                self._follow(rejected)
                self._seen, self._rejected = seen, rejected
            self._reason = self._none if self._version is None else ""
        except Exception as error:  # whatever it is, requests are answered on
            self._failures += 1
            kept = f"version {self.current.version} stays" if self._version else "the choice is uniform"
            self._reason = f"{_why(error)}; {kept}"
            log.error("the %s of %s was not loaded: %s", self._alias, self.dataset, self._reason)
        self._changed()

    def run(self, seconds: float) -> None:
        """Refresh every `seconds`, until `stop`."""
        while not self._stop.wait(seconds):
            self.refresh()

    def stop(self) -> None:
        """End `run`."""
        self._stop.set()

    def _follow_shop(self) -> None:
        try:
            shop = self._look(self.current.shop)
            if shop is not self.current.shop:
                self.current = self.current.with_shop(shop, self._config)
                log.info("%s: the shop's tables have changed and were read", self.dataset)
            self._shop_reason = ""
        except Exception as error:  # whatever it is, requests are answered on
            self._shop_reason = f"{_why(error)}; the last good tables stay"
            log.error("the tables of %s were not read: %s", self.dataset, self._shop_reason)

    def _is_current(self, version: Version) -> bool:
        now = self._version
        return now is not None and (now.number, digest_of(now)) == (version.number, digest_of(version))

    def _aliases(self) -> tuple[tuple[int, str] | None, ...]:
        """Number and digest of the versions of the followed aliases; cheaper to look at than the signed records."""
        client, name = open_store(), f"{self.dataset}-{POLICY}"
        aliases = (CHAMPION, REFRESH) if self._alias == CHAMPION else (self._alias,)
        versions = [version_of(client, name, alias) for alias in aliases]
        return tuple(None if version is None else (version.number, digest_of(version)) for version in versions)

    def _follow(self, rejected: frozenset[str]) -> None:
        found = self._find()
        if found is None:
            self._use(None, uniform_choice(self.current.shop, self._config.seed), self._none)
        elif not self._is_current(found.version) or rejected != self._rejected:
            self._use(found.version, self._load(found, rejected), "")

    def _find(self) -> Deployed | None:
        """The version to follow: that of the alias, or a refit of the champion where one acts."""
        client, name = open_store(), f"{self.dataset}-{POLICY}"
        if self._alias == CHAMPION:
            return deployed(client, name)
        version = version_of(client, name, self._alias)
        return None if version is None else Deployed(version, forms_of(version), is_refit=False)

    def _load(self, found: Deployed, rejected: frozenset[str]) -> ServedPolicy:
        version = found.version
        with tempfile.TemporaryDirectory(prefix="adloom-champion-") as scratch:
            folder = Path(scratch) / POLICY
            fetch_package(version, folder)  # checks digest and signature
            with reading_champion(version.name, version.number):
                identity = version.number, digest_of(version)
                by_value = self._config.campaign_choice == "value"
                champion = read_champion(folder, found.forms, identity, with_models=by_value)
                policy = replace(champion, rejected=rejected).served(self.current.shop, self._config)
            self._acts(UPath(folder), digest_of(version), policy)
            return policy

    def _use(self, version: Version | None, policy: ServedPolicy, reason: str) -> None:
        if version is not None or self._version is not None:
            self._swaps += 1
            name = "none: the choice is uniform" if version is None else f"version {version.number}, {policy.form}"
            log.info("%s of %s: %s", self._alias, self.dataset, name)
        self.current, self._version, self._reason = policy, version, reason


def _why(error: Exception) -> str:
    return str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {first_line(error)}"
