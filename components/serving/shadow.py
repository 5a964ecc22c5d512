"""The challenger in shadow: it decides the same requests beside the champion, unseen, and what differs is counted.

It chooses among the creatives of the campaign that was shown, after the answer, with the same draw, on a thread of its
own; what it cannot keep up with is skipped.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import BoundedSemaphore

import numpy as np

from components.features.shoppers.one_shopper import ShopperRows
from components.policies.online_policy import AdDecision, AdRequest
from components.serving.served_policy import ServedPolicy
from components.serving.service_metrics import ServiceMetrics
from components.settings.errors import UserError

MAX_WAITING = 1_000  # decisions


class Shadow:
    """Counts how a challenger would have decided. policy: the challenger; None while there is none."""

    def __init__(
        self,
        policy: Callable[[], ServedPolicy | None],
        history: Callable[[str, int], ShopperRows],
        metrics: ServiceMetrics,
    ):
        self._policy, self._history, self._metrics = policy, history, metrics
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="shadow")
        self._room = BoundedSemaphore(MAX_WAITING)

    def compare(
        self, request: AdRequest, position: int, context: Sequence[tuple[str, object]], shown: AdDecision
    ) -> None:
        """Let the challenger decide `request` later, and compare it with what was `shown`."""
        policy = self._policy()
        if policy is None:
            return
        request = replace(request, campaigns=(shown.campaign,))  # a challenger does not choose the campaign
        if self._room.acquire(blocking=False):
            self._thread.submit(self._compare, lambda: policy.decide(request, position, context, self._history), shown)
        else:
            self._metrics.shadow.labels("skipped").inc()

    def close(self) -> None:
        """Finish what waits."""
        self._thread.shutdown()

    def _compare(self, decide: Callable[[], AdDecision], shown: AdDecision) -> None:
        begun = time.perf_counter()
        try:
            own = decide()
        except UserError:  # such as an unknown campaign
            self._metrics.shadow.labels("undecided").inc()
            return
        finally:
            self._room.release()
        self._metrics.shadow_seconds.observe(time.perf_counter() - begun)
        same = own.campaign == shown.campaign and own.creative_id == shown.creative_id
        self._metrics.shadow.labels("same" if same else "another").inc()
        self._metrics.shadow_overlap.observe(overlap(own, shown))


def overlap(one: AdDecision, other: AdDecision) -> float:
    """The sum over creatives of the smaller of both probabilities, in [0, 1]; 1: equal policies."""
    of_other = dict(zip(other.creative_ids, other.probabilities.tolist(), strict=True))
    shares = np.array([of_other.get(name, 0.0) for name in one.creative_ids])
    return float(np.minimum(one.probabilities, shares).sum())
