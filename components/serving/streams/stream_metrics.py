"""Figures of the streams in Prometheus' format, among those of the service."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class StreamMetrics:
    """The figures of one server's streams, added to `registry`."""

    def __init__(self, registry: CollectorRegistry):
        self.read = Counter("adloom_stream_messages", "Messages read", ["topic", "status"], registry=registry)
        self.connected = Gauge("adloom_stream_connected", "Whether a broker answers", registry=registry)
        self.lag = Gauge("adloom_stream_lag", "Messages of the topics not read yet", registry=registry)
        self.expired = Counter(
            "adloom_stream_expired", "Messages that the broker deleted before they were read", registry=registry
        )
        self.unpublished = Gauge("adloom_stream_unpublished", "Messages not published yet", registry=registry)
