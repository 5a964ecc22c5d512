"""Tables of the shop that change while the server runs: used from the next look on, or not at all if they are bad."""

import threading

import pandas as pd
import pytest
from fastapi.testclient import TestClient
from upath import UPath

from components.contract.files.tables import read_table, write_table
from components.policies.online_policy import AdRequest
from components.serving.http_api.http_app import make_app
from components.serving.server_clock import now_microseconds
from components.serving.service import Service
from components.serving.shop_tables import current_shop, read_shop
from components.settings.errors import UserError
from tests.components.policies.packages import package
from tests.components.serving.http_api.test_http_app import CONFIG, HOST
from tests.components.serving.scene import LONG_AGO, crowned, write_shop
from tests.components.serving.test_tracking import chosen, track

NOW = 1_780_000_000_000_000


@pytest.fixture
def place(tmp_path) -> UPath:
    return write_shop(tmp_path / "data" / "shop")


@pytest.fixture
def start(registry, place, tmp_path):
    """A function that makes the service; what it made is closed at the end."""
    services = []

    def make() -> Service:
        service = Service(read_shop(place), CONFIG, place, tmp_path / "serving")
        service.watch.refresh()
        services.append(service)
        return service

    yield make
    for service in services:
        service.close()


def change(place: UPath, name: str, key: str, row: str, **values) -> None:
    """Change a row of a table on disk, which is added if it is new."""
    table = read_table(place, name).set_index(key)
    if row not in table.index:
        table.loc[row] = table.iloc[0]
    for column, value in values.items():
        table.loc[row, column] = value
    write_table(table.reset_index(), place / f"{name}.parquet")


def shares(service: Service, shopper: str | None = None) -> dict[str, float]:
    decision = service.watch.current.decide(AdRequest("i1", NOW, ("c",), shopper, "top"), 1, [])
    return dict(zip(decision.creative_ids, decision.probabilities.tolist(), strict=True))


def test_nothing_is_read_while_nothing_changes(place):
    shop = read_shop(place)
    assert current_shop(shop, place) is shop
    (place / "notes.txt").write_text("no table")
    assert current_shop(shop, place) is shop
    write_table(shop.tables["creatives"], place / "creatives.parquet")  # equal bytes
    assert current_shop(shop, place) is not shop


def test_withdrawn_and_new_creatives_without_a_champion(start, place):
    service = start()
    assert shares(service) == {"a": 0.5, "b": 0.5}
    change(place, "creatives", "creative_id", "b", active_until=LONG_AGO)
    change(place, "creatives", "creative_id", "new", headline="Just in")
    assert shares(service) == {"a": 0.5, "b": 0.5}, "until the next look"
    service.watch.refresh()
    assert shares(service) == {"a": 0.5, "new": 0.5} and service.watch.current.ads["new"].headline == "Just in"


def test_a_champion_keeps_its_probabilities_for_what_the_shop_still_has(start, place, registry, tmp_path):
    champion = crowned(registry, tmp_path / "package", package(0.75))
    service = start()
    assert shares(service, "s1") == pytest.approx({"a": 0.725, "b": 0.275})
    change(place, "creatives", "creative_id", "b", active_until=LONG_AGO)
    change(place, "creatives", "creative_id", "a", headline="Last days")
    service.watch.refresh()
    assert shares(service, "s1") == {"a": 1.0} and service.watch.current.ads["a"].headline == "Last days"
    assert service.watch.status.version == champion.number and service.watch.status.swaps == 1
    change(place, "campaigns", "campaign", "c", ends_at=pd.Timestamp("2021-01-01", tz="UTC"))
    service.watch.refresh()
    with pytest.raises(UserError, match="no creative of c is active"):
        shares(service)


def test_a_registry_that_does_not_answer_does_not_hold_the_shop_back(start, place, registry, tmp_path, monkeypatch):
    crowned(registry, tmp_path / "package", package(0.75))
    service = start()

    def gone():
        raise UserError("the MLflow server gives no answer")

    monkeypatch.setattr("components.serving.champion_watch.open_store", gone)
    change(place, "creatives", "creative_id", "b", active_until=LONG_AGO)
    service.watch.refresh()
    assert shares(service, "s1") == {"a": 1.0} and "gives no answer" in service.watch.status.reason


def test_consent_that_is_given_or_withdrawn(start, place, registry, tmp_path):
    crowned(registry, tmp_path / "package", package(0.75))
    service = start()
    client = TestClient(make_app(service, [HOST]), base_url=f"http://{HOST}")
    shown = {"type": "impression", "decision_id": chosen(client, placement="top")["decision_id"]}
    view = {"type": "behaviour", "event_id": "e1", "shopper_id": "s1", "kind": "view"}
    assert track(client, shown, view, {**view, "event_id": "e2", "shopper_id": "s2"}) == [("stored", "")] * 3
    later = now_microseconds() + 3_600_000_000
    assert len(service.history.rows("s1", later).events) == len(service.history.rows("s1", later).shown) == 1
    change(place, "shoppers", "shopper_id", "s1", consent=False)
    change(place, "shoppers", "shopper_id", "s3", consent=True)
    change(place, "shoppers", "shopper_id", "s4", consent=True)
    service.watch.refresh()
    assert service.history.rows("s1", later).events == service.history.rows("s1", later).shown == ()
    assert len(service.history.rows("s2", later).events) == 1
    assert track(client, {**view, "event_id": "e3"}, {**view, "event_id": "e4", "shopper_id": "s4"})
    assert service.history.rows("s1", later).events == () and len(service.history.rows("s4", later).events) == 1
    answers = [chosen(client, shopper_id=shopper, placement="top")["propensity"] for shopper in ["s1"] * 20]
    assert set(answers) == {0.5}, "decided from the request alone, not by the segment"


def test_consent_withdrawn_while_the_server_was_down(start, place):
    service = start()
    client = TestClient(make_app(service, [HOST]), base_url=f"http://{HOST}")
    events = [{"type": "behaviour", "event_id": f"e{n}", "shopper_id": f"s{n}", "kind": "view"} for n in (1, 2)]
    track(client, *events)
    service.close()
    change(place, "shoppers", "shopper_id", "s1", consent=False)
    again = start()
    later = now_microseconds() + 3_600_000_000
    assert [len(again.history.rows(name, later).events) for name in ("s1", "s2")] == [0, 1]


def test_new_limits_of_a_campaign_hold_from_the_next_look(start, place):
    service = start()
    client = TestClient(make_app(service, [HOST]), base_url=f"http://{HOST}")
    chosen(client)
    change(place, "campaigns", "campaign", "c", frequency_cap=0)
    service.watch.refresh()
    assert client.post("/decide", json={"campaign": "c"}).json()["detail"] == "the frequency cap of campaign c is 0"


def truncated(place: UPath) -> None:
    file = place / "creatives.parquet"
    file.write_bytes(file.read_bytes()[:-50])


def emptied(place: UPath) -> None:
    write_table(read_table(place, "shoppers").head(0), place / "shoppers.parquet")


def gone(place: UPath) -> None:
    (place / "campaigns.parquet").unlink()


def negative(place: UPath) -> None:
    change(place, "campaigns", "campaign", "c", budget=-5.0)


@pytest.mark.parametrize(
    ("spoil", "text"),
    [(truncated, "creatives"), (emptied, "shoppers: no rows"), (gone, "campaigns: no file"),
     (negative, "budget of c is -5")],
)  # fmt: skip
def test_tables_that_cannot_be_used_leave_the_last_good_ones(start, place, spoil, text):
    service = start()
    good = {file: file.read_bytes() for file in place.rglob("*.parquet")}
    change(place, "creatives", "creative_id", "b", active_until=LONG_AGO)  # not used either: all or nothing
    spoil(place)
    for _ in range(2):
        service.watch.refresh()
        assert shares(service) == {"a": 0.5, "b": 0.5} and service.shop.may_know("s1")
        client = TestClient(make_app(service, [HOST]), base_url=f"http://{HOST}")
        ready = client.get("/readyz").json()
        assert text in ready["shop"] and ready["shop"].endswith("the last good tables stay")
    for file, content in good.items():
        file.write_bytes(content)
    change(place, "creatives", "creative_id", "a", active_until=LONG_AGO)
    service.watch.refresh()
    assert shares(service) == {"b": 1.0} and service.watch.status.shop == ""


def test_a_change_loses_no_request(start, place):
    service = start()
    seen, faults, stop = set(), [], threading.Event()

    def ask() -> None:
        while not stop.is_set():
            try:
                seen.add(tuple(shares(service)))
            except Exception as error:
                faults.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    for until in (LONG_AGO, None, LONG_AGO):
        change(place, "creatives", "creative_id", "b", active_until=until)
        service.watch.refresh()
    stop.set()
    asking.join()
    assert not faults and {("a",), ("a", "b")} >= seen and tuple(shares(service)) == ("a",)
