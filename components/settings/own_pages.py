"""Which requests a server on loopback answers: those of programs and of its own pages.

A browser lets any page send requests to a server on loopback. So a request is refused if it names another host (as with
DNS rebinding), or if the browser says that a page of another site sends it: in `Origin`, or in `Sec-Fetch-Site` (Fetch
Metadata) unless a person follows a link. Programs send neither of these.
"""

from collections.abc import Iterable

LOOPBACK = "127.0.0.1"
NAMES = (LOOPBACK, "localhost")
REFUSAL = b"the request names another host or is from another site\n"  # the body of the answer 403
OTHER_SITES = {"cross-site", "same-site"}  # same-site: a page of another port of this machine


def local_hosts(port: int) -> tuple[str, ...]:
    """The hosts (`name:port`) that requests to a server on this port of loopback may name."""
    return tuple(f"{name}:{port}" for name in NAMES)


def origins(hosts: Iterable[str]) -> tuple[str, ...]:
    """The origins of pages served by `hosts` without TLS."""
    return tuple(f"http://{host}" for host in hosts)


def is_own(headers: Iterable[tuple[str, str]], hosts: Iterable[str]) -> bool:
    """Whether a request with these headers (name in lower case, value) to one of `hosts` is to be answered."""
    values: dict[str, set[str]] = {}
    for name, value in headers:
        values.setdefault(name, set()).add(value.lower())
    allowed = set(hosts)
    own_origins = {f"{scheme}://{host}" for scheme in ("http", "https") for host in allowed}
    if not values.get("host") or not values["host"] <= allowed or not values.get("origin", set()) <= own_origins:
        return False
    from_other_sites = values.get("sec-fetch-site", set()) & OTHER_SITES
    return not from_other_sites or values.get("sec-fetch-mode") == {"navigate"}
