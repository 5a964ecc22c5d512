"""A notice arrives signed, is repeated while the receiver stumbles, and never holds up or fails what it tells of."""

import hashlib
import hmac
import json
import logging
import socket
import time
from itertools import pairwise

import pytest

from components.settings.errors import UserError
from components.settings.sections import NotifyConfig
from components.workflow.webhook import SECRET, SIGNATURE, Notification, post, post_in_background
from tests.receiver import receiver

NOTICE = Notification("run-1:refused", "refused", "shop", "brave-crane", ("the lift is +0.00001", "下界不足"))
QUICK = {"backoff_seconds": 0.05, "timeout_seconds": 0.5}


@pytest.fixture(autouse=True)
def secret(monkeypatch):
    monkeypatch.setenv(SECRET, "between us")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def to(address: str, **settings) -> NotifyConfig:
    return NotifyConfig(webhook=address, **{**QUICK, **settings})


def test_the_receiver_can_tell_who_wrote_what_and_when():
    with receiver() as (address, received):
        post(NOTICE, to(address))
    (request,) = received
    assert json.loads(request.body) == {
        "id": "run-1:refused",
        "event": "refused",
        "dataset": "shop",
        "run": "brave-crane",
        "reasons": ["the lift is +0.00001", "下界不足"],
    }
    seconds, digest = (part.split("=")[1] for part in request.headers[SIGNATURE].split(","))
    assert abs(time.time() - int(seconds)) < 60
    expected = hmac.new(b"between us", f"{seconds}.".encode() + request.body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(digest, expected)
    assert "between us" not in str(request.headers) + request.body.decode()


def test_a_stumbling_receiver_is_asked_again_ever_more_slowly():
    with receiver(503, 500, 429, 200) as (address, received):
        post(NOTICE, to(address, backoff_seconds=0.1))
    assert [request.body for request in received] == [received[0].body] * 4
    waits = [later.at - earlier.at for earlier, later in pairwise(received)]
    assert all(wait >= expected for wait, expected in zip(waits, (0.1, 0.2, 0.4), strict=True))


def test_it_gives_up_after_so_many_attempts():
    with receiver(*[503] * 9) as (address, received), pytest.raises(UserError, match="did not accept run-1:refused"):
        post(NOTICE, to(address, attempts=3))
    assert len(received) == 3


@pytest.mark.parametrize("status", [302, 401, 404])
def test_a_plain_no_is_not_asked_twice(status):
    with (
        receiver(status) as (address, received),
        pytest.raises(UserError, match=f"did not accept run-1:refused: {status}"),
    ):
        post(NOTICE, to(address))
    assert len(received) == 1


def test_whoever_does_not_answer_holds_up_nobody(caplog):
    with socket.create_server(("127.0.0.1", 0)) as silent, caplog.at_level(logging.WARNING, "adloom"):
        begun = time.monotonic()
        thread = post_in_background(NOTICE, to(f"http://127.0.0.1:{silent.getsockname()[1]}/hook-secret", attempts=2))
        assert time.monotonic() - begun < 0.2
        thread.join(10)
    assert "did not accept run-1:refused" in caplog.text and "hook-secret" not in caplog.text


def test_the_address_may_come_from_the_environment_and_is_never_told(monkeypatch, caplog):
    with receiver(200, 500) as (address, received):
        monkeypatch.setenv("TEAM_HOOK", address)
        post(NOTICE, to("${TEAM_HOOK}"))
        assert len(received) == 1
        with pytest.raises(UserError) as caught:
            post(NOTICE, to("${TEAM_HOOK}", attempts=1))
        assert address not in str(caught.value)
    monkeypatch.delenv("TEAM_HOOK")
    with pytest.raises(UserError, match="TEAM_HOOK is not set"):
        post(NOTICE, to("${TEAM_HOOK}"))


def test_without_a_secret_nothing_is_sent(monkeypatch):
    monkeypatch.delenv(SECRET)
    with receiver() as (address, received), pytest.raises(UserError, match=SECRET):
        post(NOTICE, to(address))
    assert not received


def test_only_what_was_asked_for_is_told():
    with receiver() as (address, received):
        post(NOTICE, to(address, events=("failed",)))
        post(NOTICE, NotifyConfig())
    assert not received


@pytest.mark.parametrize("address", ["not an address", "ftp://127.0.0.1/x", "http://"])
def test_a_wrong_address_is_one_sentence(address):
    with pytest.raises(UserError, match=r"notify\.webhook did not accept"):
        post(NOTICE, to(address))
