"""Requests to a server on loopback: programs, own pages and followed links are answered, other sites' pages are not."""

import pytest

from components.settings.own_pages import is_own, local_hosts, origins

HOSTS = local_hosts(4200)
HOST = ("host", "127.0.0.1:4200")


def test_the_hosts_of_a_port_and_their_pages():
    assert HOSTS == ("127.0.0.1:4200", "localhost:4200")
    assert origins(HOSTS) == ("http://127.0.0.1:4200", "http://localhost:4200")


@pytest.mark.parametrize(
    ("headers", "due"),
    [
        ([], False),
        ([HOST], True),
        ([("host", "LocalHost:4200")], True),
        ([("host", "localhost:4201")], False),
        ([("host", "localhost")], False),
        ([HOST, ("host", "evil.example")], False),
        ([HOST, ("origin", "http://localhost:4200")], True),
        ([HOST, ("origin", "https://localhost:4200")], True),
        ([HOST, ("origin", "http://localhost:5000")], False),
        ([HOST, ("origin", "null")], False),
        ([HOST, ("origin", "")], False),
        ([HOST, ("origin", "http://localhost:4200"), ("origin", "http://evil.example")], False),
    ],
    ids=str,
)
def test_host_and_origin(headers, due):
    assert is_own(headers, HOSTS) is due


@pytest.mark.parametrize("mode", ["cors", "no-cors", "same-origin", "websocket", "navigate", None])
@pytest.mark.parametrize("site", ["none", "same-origin", "same-site", "cross-site", "Cross-Site"])
def test_a_page_of_another_site_may_only_link_here(site, mode):
    headers = [HOST, ("sec-fetch-site", site), *([] if mode is None else [("sec-fetch-mode", mode)])]
    assert is_own(headers, HOSTS) is (site in ("none", "same-origin") or mode == "navigate")


def test_a_form_of_another_site_is_refused_although_it_navigates():
    headers = [
        HOST,
        ("origin", "http://evil.example"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-mode", "navigate"),
    ]
    assert not is_own(headers, HOSTS)


def test_of_two_modes_none_is_believed():
    modes = [("sec-fetch-mode", "navigate"), ("sec-fetch-mode", "cors")]
    assert not is_own([HOST, ("sec-fetch-site", "cross-site"), *modes], HOSTS)
