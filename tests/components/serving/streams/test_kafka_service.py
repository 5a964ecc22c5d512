"""The whole service beside a broker: one log for requests and topics; /readyz and /metrics say how it is."""

from contextlib import closing

import pytest
from fastapi.testclient import TestClient
from upath import UPath

from benchmarks.mock_kafka import messages
from components.serving.http_api.http_app import make_app
from components.serving.journal import FILE, connect
from components.serving.service import Service
from components.settings.sections import ServingConfig
from tests.components.serving.conftest import little_shop  # noqa: F401
from tests.components.serving.streams.conftest import until

HOST = "127.0.0.1:8700"


@pytest.fixture
def client(scene, little_shop, tmp_path):  # noqa: F811
    config = ServingConfig(refresh_seconds=3600.0, kafka=scene.config)
    service = Service(little_shop, config, UPath(tmp_path) / "data" / "shop", tmp_path / "serving")
    with TestClient(make_app(service, [HOST]), base_url=f"http://{HOST}") as client:
        yield client


def test_requests_and_topics_share_one_log(client, scene, tmp_path):
    decided = client.post("/decide", json={"shopper_id": "s1", "campaign": "c"}).json()["decision_id"]
    click, shown = ({"type": kind, "decision_id": decided} for kind in ("click", "impression"))
    assert client.post("/track", json={"events": [shown]}).json()["results"][0]["status"] == "stored"
    scene.send(scene.ads, shown, click)
    until(lambda: 'status="duplicate"' in client.get("/metrics").text)
    until(lambda: client.get("/readyz").json()["kafka"] == {
        "connected": True, "lag": 0, "unpublished": 0, "reason": ""})  # fmt: skip
    assert client.post("/track", json={"events": [click]}).json()["results"][0]["status"] == "duplicate"
    with closing(connect(tmp_path / "serving" / FILE)) as connection:
        assert connection.execute("SELECT kind, id FROM tracked ORDER BY kind").fetchall() == [
            ("click", decided), ("impression", decided)
        ]  # fmt: skip
    sent = messages(scene.broker.servers, scene.served, 3)
    assert [(key, body["type"]) for key, body in sent] == [
        (decided, name) for name in ("decision", "impression", "click")
    ]
    figures = client.get("/metrics").text
    assert "adloom_stream_connected 1.0" in figures and "adloom_stream_lag 0.0" in figures
