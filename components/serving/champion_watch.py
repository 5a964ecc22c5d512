"""The champion that answers requests: loaded from the registry, checked, and replaced when the alias moves.

A request takes `current` once and finishes with it, so a swap loses no request. A new champion that fails a check (its
digest, its signature, its decision, or a file that this release cannot read) is not used: the last good one stays. With
no champion, or none that could be read yet, the choice among the eligible creatives is uniform. The challenger is
followed in the same way; what it would have shown is only counted (shadow.py).
"""

import logging
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from upath import UPath

from components.registry.decision_records import forms_of
from components.registry.mlflow_store import Version, digest_of, fetch_package, open_store, version_of
from components.registry.promotion import CHAMPION
from components.registry.unreadable_champion import reading_champion
from components.serving.served_policy import ServedPolicy, read_served_policy, uniform_choice
from components.serving.shop_tables import ShopTables
from components.settings.errors import UserError, first_line
from components.workflow.publishing.deployed_policy import POLICY

log = logging.getLogger("adloom")


@dataclass(frozen=True)
class WatchStatus:
    """What answers, and why: `reason` is empty if the registry's champion does. swaps, failures: since the start."""

    version: int | None
    form: str
    reason: str
    swaps: int
    failures: int


class ChampionWatch:
    """`current`: the policy that answers now. `refresh` looks at the registry; `run` repeats it until `stop`."""

    def __init__(
        self,
        dataset: str,
        shop: ShopTables,
        seed: int,
        *,
        alias: str = CHAMPION,
        changed: Callable[[], None] = lambda: None,
        acts: Callable[[UPath, str, ServedPolicy], None] = lambda package, digest, policy: None,
    ):
        """alias: of the version to follow. changed: called after each look at the registry; acts: with the folder of a
        checked package, its digest and the policy, before it is used.
        """
        self.dataset, self.shop, self.seed = dataset, shop, seed
        self.current: ServedPolicy = uniform_choice(shop, seed)
        self._version: Version | None = None
        self._alias, self._none = alias, f"{dataset} has no {alias}"
        self._reason, self._swaps, self._failures = self._none, 0, 0
        self._changed, self._acts, self._stop = changed, acts, threading.Event()

    @property
    def status(self) -> WatchStatus:
        """What answers now, and why."""
        return WatchStatus(self.current.version, self.current.form, self._reason, self._swaps, self._failures)

    def refresh(self) -> None:
        """Use the champion of the registry, if it passes its checks; never raises an error."""
        try:
            version = version_of(open_store(), f"{self.dataset}-{POLICY}", self._alias)
            if version is None:
                self._use(None, uniform_choice(self.shop, self.seed), self._none)
            elif not self._is_current(version):
                self._use(version, self._load(version), "")
            else:
                self._reason = ""
        except Exception as error:  # whatever it is, requests are answered on
            self._failures += 1
            kept = f"version {self.current.version} stays" if self._version else "the choice is uniform"
            why = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {first_line(error)}"
            self._reason = f"{why}; {kept}"
            log.error("the %s of %s was not loaded: %s", self._alias, self.dataset, self._reason)
        self._changed()

    def run(self, seconds: float) -> None:
        """Refresh every `seconds`, until `stop`."""
        while not self._stop.wait(seconds):
            self.refresh()

    def stop(self) -> None:
        """End `run`."""
        self._stop.set()

    def _is_current(self, version: Version) -> bool:
        now = self._version
        return now is not None and (now.number, digest_of(now)) == (version.number, digest_of(version))

    def _load(self, version: Version) -> ServedPolicy:
        acting = forms_of(version)
        with tempfile.TemporaryDirectory(prefix="adloom-champion-") as scratch:
            folder = Path(scratch) / POLICY
            fetch_package(version, folder)  # checks digest and signature
            with reading_champion(version.name, version.number):
                identity = version.number, digest_of(version)
                policy = read_served_policy(folder, acting, self.shop, identity, self.seed)
            self._acts(UPath(folder), digest_of(version), policy)
            return policy

    def _use(self, version: Version | None, policy: ServedPolicy, reason: str) -> None:
        if version is not None or self._version is not None:
            self._swaps += 1
            name = "none: the choice is uniform" if version is None else f"version {version.number}, {policy.form}"
            log.info("%s of %s: %s", self._alias, self.dataset, name)
        self.current, self._version, self._reason = policy, version, reason
