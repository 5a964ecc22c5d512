"""The HTTP interface: answers, refusals, and what a hostile or careless client sends; nothing gives a status 5xx."""

import json
import sys
from dataclasses import replace

import pandas as pd
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from upath import UPath

from components.policies.table_reasons import REASON_COLUMNS
from components.serving.http_api.http_app import SWITCH_SECONDS, make_app
from components.serving.http_api.http_messages import DecideBatch, DecideOne, Track
from components.serving.service import Service
from components.serving.shop_tables import read_shop
from components.settings.sections import ServingConfig
from tests.components.policies.packages import package
from tests.components.serving.scene import crowned, write_shop

HOST = "127.0.0.1:8700"
CONFIG = ServingConfig(refresh_seconds=3600.0, max_body_bytes=100_000)


def client_of(little_shop, folder) -> TestClient:
    service = Service(little_shop, CONFIG, UPath(folder) / "data" / "shop", folder / "serving")
    service.watch.refresh()
    return TestClient(make_app(service, [HOST]), base_url=f"http://{HOST}", raise_server_exceptions=False)


@pytest.fixture
def client(registry, little_shop, tmp_path):
    with client_of(little_shop, tmp_path) as client:
        yield client


@pytest.fixture
def championed(registry, little_shop, tmp_path):
    """A client of a server with a champion that has a new creative with a picture."""
    folder = tmp_path / "package"
    (folder / "pool" / "ads").mkdir(parents=True)
    (folder / "pool" / "ads" / "a.png").write_bytes(b"a picture")
    (folder / "pool" / "ads.json").write_text(json.dumps({"a.png": {"creative_id": "a", "size": "300x250"}}))
    crowned(registry, folder, package(0.999))
    with client_of(little_shop, tmp_path) as client:
        yield client


def test_an_ad_is_chosen_with_all_that_a_page_needs(championed):
    answers = [
        championed.post("/decide", json={"shopper_id": "s1", "campaign": "c", "placement": "top"}).json()
        for _ in range(20)
    ]
    answer = next(answer for answer in answers if answer["creative_id"] == "a")
    assert answer["propensity"] == pytest.approx(0.9 * 0.999 + 0.05)
    assert (answer["headline"], answer["call_to_action"], answer["campaign"]) == ("New in", "Shop now", "c")
    assert answer["policy_version"] >= 1 and answer["reason"] == "champion, form table"
    assert len({answer["decision_id"] for answer in answers}) == 20
    picture = championed.get(answer["pictures"]["300x250"])
    assert picture.content == b"a picture" and picture.headers["content-type"] == "image/png"
    assert championed.get("/ads/b.png").status_code == 404
    assert championed.get("/ads/..%2f..%2fpolicy.json").status_code == 404
    ready = championed.get("/readyz").json()
    assert ready == {"policy_version": answer["policy_version"], "form": "table", "reason": "", "shop": ""}


def test_a_shopper_without_consent_or_unknown_is_no_one(championed):
    for shopper in ("s3", "a stranger", None):
        body = {"shopper_id": shopper, "campaign": "c", "placement": "top"}
        assert championed.post("/decide", json=body).json()["propensity"] == 0.5


@pytest.mark.parametrize(("locale", "facts"), [("en-GB", ["it is liked"]), ("zh-CN", ["受欢迎"])])
def test_the_facts_behind_an_ad_are_told_in_the_campaigns_language_if_asked(registry, tmp_path, locale, facts):
    cells = [("0", "top", "c", "a", 1, 0.5, "it is liked", "受欢迎")]
    reasons = pd.DataFrame(cells, columns=list(REASON_COLUMNS))
    crowned(registry, tmp_path / "package", replace(package(0.999), reasons=reasons))
    shop = read_shop(write_shop(tmp_path / "data" / "shop", locale=locale))
    ask = {"shopper_id": "s1", "campaign": "c", "placement": "top"}
    with client_of(shop, tmp_path) as client:
        answers = [client.post("/decide", json={**ask, "explain": True}).json() for _ in range(20)]
        assert next(answer["facts"] for answer in answers if answer["creative_id"] == "a") == facts
        assert all(answer["facts"] is None for answer in answers if answer["creative_id"] == "b")
        assert client.post("/decide", json=ask).json()["facts"] is None


def test_threads_take_turns_quickly_while_it_serves(registry, little_shop, tmp_path):
    before = sys.getswitchinterval()
    with client_of(little_shop, tmp_path):
        assert sys.getswitchinterval() == pytest.approx(SWITCH_SECONDS)
    assert sys.getswitchinterval() == before


def test_a_batch_answers_each_in_its_place(client):
    asked = [{"campaign": "c"}, {"campaign": "d"}, {"campaign": "spring"}, {}]
    answer = client.post("/decide", json={"requests": asked})
    assert answer.status_code == 200
    first, over, unknown, anywhere = answer.json()["decisions"]
    assert first["creative_id"] in "ab" and anywhere["campaign"] == "c"
    assert over == {"error": "no creative of d is active", "status": 409}
    assert unknown == {"error": "campaign 'spring' is not in the catalogue", "status": 404}
    too_many = client.post("/decide", json={"requests": [{"campaign": "c"}] * 201})
    assert too_many.status_code == 422
    assert len(client.post("/decide", json={"requests": [{"campaign": "c"}] * 200}).json()["decisions"]) == 200


@pytest.mark.parametrize(("body", "status", "text"), [
    ({"campaign": "d"}, 409, "no creative of d is active"),
    ({"campaign": "spring"}, 404, "'spring' is not in the catalogue"),
    ({"campaign": "c", "shortlist": ["d1"]}, 409, "and in the shortlist"),
    ({"campaign": "c", "shortlist": []}, 409, "and in the shortlist"),
    ({"campaign": "c", "context": {"weather": "rain"}}, 422, "no column context_weather; it has context_device"),
    ({"campaign": "c", "context": {"device": 3}}, 422, "context_device holds a text, not the number 3"),
    ({"campaign": "c", "context": {"local_hour": True}}, 422, "holds a number, not the flag True"),
    ({"campaign": ""}, 422, "at least 1 character"),
    ({"campaign": "c\u0000"}, 422, "pattern"),
    ({"campaign": "c", "position": 0}, 422, "greater than or equal to 1"),
    ({"campaign": "c", "colour": "red"}, 422, "Extra inputs"),
    ([], 422, "valid dictionary"),
])  # fmt: skip
def test_what_cannot_be_answered_is_named(client, body, status, text):
    answer = client.post("/decide", json=body)
    assert answer.status_code == status and text in answer.text


@pytest.mark.parametrize("content", [b"", b"{", b'{"campaign": NaN}', b"\xff\xfe", b"null", b'{"position": 1e400}'])
def test_malformed_json_is_refused(client, content):
    answer = client.post("/decide", content=content, headers={"content-type": "application/json"})
    assert answer.status_code == 422


def test_a_large_body_is_refused_whether_its_length_is_told_or_not(client):
    content = b" " * 10_000_000
    assert client.post("/decide", content=content).status_code == 413

    def in_chunks():
        for start in range(0, len(content), 65_536):
            yield content[start : start + 65_536]

    answer = client.post("/decide", content=in_chunks())
    assert answer.status_code == 413 and "serving.max_body_bytes" in answer.json()["detail"]
    assert client.post("/decide", content=b"{}", headers={"content-length": "-1"}).status_code == 400
    assert client.get("/healthz").json() == {"status": "ok"}


def test_with_a_key_only_those_who_have_it_are_answered(registry, little_shop, tmp_path, monkeypatch):
    monkeypatch.setenv("ADLOOM_SERVING_KEY", "a-long-key")
    with client_of(little_shop, tmp_path) as client:
        assert client.post("/decide", json={"campaign": "c"}).status_code == 401
        assert client.post("/decide", json={"campaign": "c"}, headers={"X-API-Key": "another"}).status_code == 401
        assert client.get("/metrics").status_code == 401 and client.get("/healthz").status_code == 200
        keyed = {"X-API-Key": "a-long-key", "Host": "ads.example.org"}
        assert client.post("/decide", json={"campaign": "c"}, headers=keyed).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [{"Host": "rebound.example.org"}, {"Origin": "http://shop.example.org"}, {"Sec-Fetch-Site": "cross-site"}],
)
def test_without_a_key_pages_of_other_sites_are_not_answered(client, headers):
    assert client.post("/decide", json={"campaign": "c"}, headers=headers).status_code == 403


def test_figures_count_decisions_and_refusals(client):
    client.post("/decide", json={"requests": [{"campaign": "c"}, {"campaign": "c"}, {"campaign": "d"}]})
    page = client.get("/metrics").text
    assert 'adloom_decisions_total{logging_policy="uniform"} 2.0' in page
    assert 'adloom_refused_total{status="409"} 1.0' in page
    assert "adloom_champion_version 0.0" in page and "adloom_decision_seconds_count 2.0" in page


def test_the_description_has_examples_that_are_valid(client):
    described = client.get("/openapi.json").json()
    schemas = described["components"]["schemas"]
    for kind in (DecideOne, DecideBatch, Track):
        (example,) = schemas[kind.__name__]["examples"]
        kind.model_validate(example)
    assert set(described["paths"]["/decide"]["post"]["responses"]) >= {"200", "401", "404", "409", "413", "422"}


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
ids = st.sampled_from(["c", "d", "s1", "a", "top", "spring", ""]) | st.text(max_size=8)
nearly = st.fixed_dictionaries(
    {},
    optional={
        "shopper_id": ids | anything, "campaign": ids | anything, "placement": ids | anything,
        "position": st.integers() | anything, "request_id": ids,
        "context": st.dictionaries(st.sampled_from(["device", "local_hour"]) | ids, anything, max_size=3),
        "shortlist": st.lists(ids, max_size=4) | anything, "surprise": anything,
    },
)  # fmt: skip


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(nearly | st.fixed_dictionaries({"requests": st.lists(nearly, max_size=3)}) | anything)
def test_no_body_makes_the_server_fail(championed, body):
    answer = championed.post("/decide", content=json.dumps(body), headers={"content-type": "application/json"})
    assert answer.status_code < 500, answer.text
    if answer.status_code == 200:
        json.loads(answer.text, parse_constant=lambda name: pytest.fail(name))
