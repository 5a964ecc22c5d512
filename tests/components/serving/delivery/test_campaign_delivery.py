"""What campaigns delivered: counted once, exact after a restart, and honoured by the next decision."""

from contextlib import closing

import pandas as pd
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from upath import UPath

from components.features.timeline import DAY
from components.serving.delivery import campaign_delivery
from components.serving.delivery.campaign_delivery import OPEN_SECONDS
from components.serving.http_api.http_app import make_app
from components.serving.journal import FILE, Journal, connect
from components.serving.service import Service
from components.serving.shop_tables import read_shop
from tests.components.serving.http_api.test_http_app import CONFIG, HOST
from tests.components.serving.scene import times, write_shop
from tests.components.serving.test_tracking import chosen, track

NOON = 20_600 * DAY + DAY // 2
NO_END = times(None, None)


@pytest.fixture
def clock(monkeypatch):
    """The server's time, which a test moves."""
    holder = {"now": NOON}
    for module in ("service", "http_api.http_app"):
        monkeypatch.setattr(f"components.serving.{module}.now_microseconds", lambda: holder["now"])
    return holder


@pytest.fixture
def serve(registry, tmp_path, clock):
    """A function that makes a server of the shop whose campaigns have these columns."""

    def make(**columns) -> TestClient:
        place = write_shop(tmp_path / "data" / "shop", **columns)
        service = Service(read_shop(place), CONFIG, UPath(place), tmp_path / "serving")
        return TestClient(make_app(service, [HOST]), base_url=f"http://{HOST}", raise_server_exceptions=False)

    return make


def refusal(client, **fields) -> str:
    answer = client.post("/decide", json={"shopper_id": "s1", "campaign": "c", **fields})
    assert answer.status_code == 409, answer.text
    return answer.json()["detail"]


def shown(client, kind: str = "impression", **fields) -> str:
    name = chosen(client, **fields)["decision_id"]
    assert track(client, {"type": kind, "decision_id": name}) == [("stored", "")]
    return name


def spending(tmp_path) -> list[tuple]:
    with closing(connect(tmp_path / "serving" / FILE)) as connection:
        return connection.execute("SELECT * FROM campaign_spending ORDER BY campaign, day").fetchall()


def test_a_cap_holds_for_each_shopper_and_day_and_after_a_restart(serve, clock):
    with serve(frequency_cap=2) as client:
        first = shown(client)
        shown(client, "click")
        track(client, {"type": "impression", "decision_id": first}, {"type": "click", "decision_id": first})
        assert refusal(client) == "the frequency cap of campaign c of 2 impressions a day is reached for this shopper"
        shown(client, shopper_id="s2")
        for _ in range(5):
            shown(client, shopper_id="s3")  # nobody may know them
            shown(client, shopper_id=None)
    with serve(frequency_cap=2) as client:
        assert "is reached" in refusal(client)
        shown(client, shopper_id="s2")
        assert "is reached" in refusal(client, shopper_id="s2")
        clock["now"] += DAY // 2
        shown(client)


def test_ads_of_one_page_do_not_pass_the_cap_together_and_unreported_ones_lapse(serve, clock):
    with serve(frequency_cap=2) as client:
        page = client.post("/decide", json={"requests": [{"shopper_id": "s1", "campaign": "c"}] * 4}).json()[
            "decisions"
        ]
        assert ["error" in answer for answer in page] == [False, False, True, True]
        track(client, {"type": "impression", "decision_id": page[0]["decision_id"]})
        assert "is reached" in refusal(client)
    with serve(frequency_cap=2) as client:
        assert "is reached" in refusal(client), "a restart knows what is open"
        clock["now"] += OPEN_SECONDS * 1_000_000
        shown(client)
        assert "is reached" in refusal(client)


def test_a_cap_of_zero_is_never_shown_whoever_asks(serve):
    with serve(frequency_cap=0) as client:
        for shopper in ("s1", "s3", None):
            assert refusal(client, shopper_id=shopper) == "the frequency cap of campaign c is 0"
        assert client.post("/decide", json={}).json()["detail"] == "the frequency cap of campaign c is 0"


@pytest.mark.parametrize(("billing", "bid", "kind"), [("cpm", 1000.0, "impression"), ("cpc", 1.0, "click")])
def test_a_budget_is_spent_by_what_it_is_billed_by(serve, tmp_path, billing, bid, kind):
    terms = {"billing": billing, "bid": bid, "budget": 3.0, "ends_at": NO_END}
    with serve(**terms) as client:
        for _ in range(2):
            shown(client, kind)
    with serve(**terms) as client:
        name = shown(client, kind)
        assert track(client, {"type": kind, "decision_id": name}) == [("duplicate", "")]
        assert refusal(client) == "the budget of campaign c, 3, is spent"
        assert client.get("/healthz").status_code == 200
    clicks = 3 if kind == "click" else 0
    assert spending(tmp_path) == [("c", NOON // DAY, 3, clicks, 3_000_000)]
    with serve(**terms | {"budget": 4.0}) as client:
        shown(client, kind)
        assert "the budget of campaign c, 4, is spent" in refusal(client)


def test_without_a_bid_nothing_is_spent_and_that_is_told(serve, tmp_path, caplog):
    with serve(budget=1.0) as client:
        assert "campaign c has a budget and no bid, so nothing is counted against the budget" in caplog.text
        for _ in range(3):
            shown(client)
    assert spending(tmp_path) == [("c", NOON // DAY, 3, 0, 0)]


def test_a_campaign_that_is_ahead_of_its_pace_sits_out(serve, clock):
    """A budget for 100 impressions until midnight tomorrow, from midnight: 100 / 48 an hour, and noon."""
    ends = pd.Timestamp(NOON + 3 * DAY // 2, unit="us", tz="UTC")
    with serve(bid=1000.0, budget=100.0, ends_at=times(ends, ends)) as client:
        count, answer = 0, client.post("/decide", json={"campaign": "c"})
        while answer.status_code == 200:
            track(client, {"type": "impression", "decision_id": answer.json()["decision_id"]})
            count, answer = count + 1, client.post("/decide", json={"campaign": "c"})
        assert 25 <= count <= 28, "13 hours at 100 / 48"
        while answer.status_code == 409:
            assert "campaign c is ahead of an even spending of its budget" in answer.json()["detail"]
            clock["now"] += DAY // 96
            answer = client.post("/decide", json={"campaign": "c"})
        assert clock["now"] <= NOON + DAY // 12


def test_the_spending_of_a_journal_from_an_earlier_release_is_counted(serve, tmp_path):
    terms = {"billing": "cpc", "bid": 0.5, "budget": 1.0, "ends_at": NO_END}
    with serve(**terms) as client:
        for kind in ("impression", "click", "click"):
            shown(client, kind)
    before = spending(tmp_path)
    assert before == [("c", NOON // DAY, 3, 2, 1_000_000)]
    with closing(connect(tmp_path / "serving" / FILE)) as connection:
        connection.execute("DROP TABLE campaign_spending")
    with serve(**terms) as client:
        assert spending(tmp_path) == before and "is spent" in refusal(client)


def test_what_was_not_stored_is_neither_counted_nor_open(serve, tmp_path, monkeypatch):
    def full(*_):
        raise OSError("No space left on device")

    with serve(bid=1000.0, budget=2.0, frequency_cap=2, ends_at=NO_END) as client:
        name = chosen(client)["decision_id"]
        event = {"type": "impression", "decision_id": name}
        with monkeypatch.context() as patch:
            patch.setattr(campaign_delivery, "_add", full)
            assert client.post("/track", json={"events": [event]}).status_code == 503
        with monkeypatch.context() as patch:
            patch.setattr(Journal, "_store", full)
            assert client.post("/decide", json={"campaign": "c", "shopper_id": "s1"}).status_code == 503
        assert track(client, event) == [("stored", "")]
        shown(client)
        assert "is reached" in refusal(client)
    assert [row[2:] for row in spending(tmp_path)] == [(2, 0, 2_000_000)]


steps = st.one_of(
    st.tuples(st.just("decide"), st.sampled_from(["s1", "s2", "s3"])),
    st.tuples(st.sampled_from(["impression", "click"]), st.integers(0, 8)),
    st.tuples(st.just("wait"), st.sampled_from([1, OPEN_SECONDS, 6 * 3600])),
    st.tuples(st.just("restart"), st.none()),
)


@settings(deadline=None, max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(steps, max_size=20), st.sampled_from(["cpm", "cpc"]), st.integers(1, 3), st.integers(1, 6))
def test_a_naive_twin_refuses_the_same(registry, tmp_path_factory, clock, plan, billing, cap, budget):
    """The twin keeps lists and counts them anew for each decision. Prices are 1; there is no pace without an end."""
    clock["now"], folder = NOON, tmp_path_factory.mktemp("twin")
    bid = 1000.0 if billing == "cpm" else 1.0
    terms = {"billing": billing, "bid": bid, "budget": float(budget), "frequency_cap": cap, "ends_at": NO_END}
    place = write_shop(folder / "data" / "shop", **terms)

    def start() -> TestClient:
        service = Service(read_shop(place), CONFIG, UPath(place), folder / "serving")
        return TestClient(make_app(service, [HOST]), base_url=f"http://{HOST}").__enter__()

    client, decided, seen, clicked = start(), [], set(), set()
    try:
        for step, value in plan:
            now = clock["now"]
            if step == "decide":
                awaited = {n for n, (when, _, _) in enumerate(decided)
                           if n not in seen and when + OPEN_SECONDS * 1_000_000 > now}  # fmt: skip
                paid = len(seen | awaited) if billing == "cpm" else len(clicked)
                today = [n for n in seen | awaited if decided[n][1] == value and decided[n][0] // DAY == now // DAY]
                refused = paid + 1 > budget or (value != "s3" and len(today) >= cap)
                answer = client.post("/decide", json={"shopper_id": value, "campaign": "c"})
                assert (answer.status_code == 409) == refused, answer.text
                if not refused:
                    decided.append((now, value, answer.json()["decision_id"]))
            elif step in ("impression", "click") and value < len(decided):
                client.post("/track", json={"events": [{"type": step, "decision_id": decided[value][2]}]})
                seen.add(value)
                clicked |= {value} if step == "click" else set()
            elif step == "wait":
                clock["now"] += value * 1_000_000
            elif step == "restart":
                client.__exit__(None, None, None)
                client = start()
    finally:
        client.__exit__(None, None, None)
