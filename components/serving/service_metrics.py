"""Figures of a running service in Prometheus' format."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary, generate_latest

from components.serving.champion_watch import WatchStatus

SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0)


class ServiceMetrics:
    """The figures of one server, in a registry of its own."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self.registry = registry
        self.decisions = Counter("adloom_decisions", "Ads chosen", ["logging_policy"], registry=registry)
        self.refused = Counter("adloom_refused", "Requests without an ad", ["status"], registry=registry)
        self.limited = Counter("adloom_limited", "Requests beyond a limit", ["limit"], registry=registry)
        self.tracked = Counter("adloom_tracked", "Events reported", ["type", "status"], registry=registry)
        self.seconds = Histogram("adloom_decision_seconds", "One decision", buckets=SECONDS, registry=registry)
        self.shadow = Counter("adloom_shadow", "What the challenger would show", ["creative"], registry=registry)
        self.shadow_overlap = Summary("adloom_shadow_overlap", "Shared probability", registry=registry)
        self.shadow_seconds = Histogram(
            "adloom_shadow_seconds", "One decision of the challenger", buckets=SECONDS, registry=registry
        )
        self.version = Gauge("adloom_champion_version", "Version that answers; 0: uniform choice", registry=registry)
        self.swaps = Gauge("adloom_champion_swaps", "Changes of the champion since the start", registry=registry)
        self.failures = Gauge("adloom_champion_failures", "Champions that were not loaded", registry=registry)

    def watch(self, status: WatchStatus) -> None:
        """Show which champion answers."""
        self.version.set(status.version or 0)
        self.swaps.set(status.swaps)
        self.failures.set(status.failures)

    def page(self) -> bytes:
        """The figures as text."""
        return generate_latest(self.registry)
