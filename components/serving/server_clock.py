"""The time of a request."""

import time


def now_microseconds() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000
