"""The OpenAPI is true: requests made from it get no 5xx, and only answers that it describes (schemathesis).

Its engine sends the examples, each field at its boundaries and of wrong types, other methods, and random requests.
"""

import json
from collections import Counter

import pytest
import schemathesis
from fastapi.testclient import TestClient
from schemathesis.engine import events, from_schema
from upath import UPath

from components.serving.http_api.http_app import make_app
from components.serving.service import Service
from components.settings.sections import ServingConfig

HOSTS = ("testserver", "localhost")
KEY = "a-long-key"
BOUNDED = {
    "seed": 999,
    "headers": {"X-API-Key": KEY},
    "generation": {"deterministic": True, "max-examples": 30, "database": "none"},  # of random requests per operation
    "phases": {"stateful": {"enabled": False}},
}


@pytest.fixture
def app(registry, little_shop, tmp_path):
    config = ServingConfig(refresh_seconds=3600.0, requests_per_second=None)
    service = Service(little_shop, config, UPath(tmp_path) / "data" / "shop", tmp_path / "serving")
    yield make_app(service, HOSTS)
    service.close()


@pytest.mark.parametrize("key", ["", KEY])
def test_requests_made_from_the_description_get_only_answers_that_it_describes(app, monkeypatch, key):
    monkeypatch.setenv("ADLOOM_SERVING_KEY", key)
    schema = schemathesis.openapi.from_asgi(
        "/openapi.json", app, config=schemathesis.Config.from_dict(BOUNDED), headers={"X-API-Key": KEY}
    )
    answers: Counter = Counter()
    for event in from_schema(schema).execute():
        assert not isinstance(event, events.FatalError | events.NonFatalError), event
        if isinstance(event, events.ScenarioFinished):
            answers.update(_checked(event.recorder))
    asked = {operation for operation, _ in answers}
    described = {
        f"{method.upper()} {path}" for path, methods in schema.raw_schema["paths"].items() for method in methods
    }
    assert asked == described and not [status for _, status in answers if status >= 500]
    for operation in ("POST /decide", "POST /track"):
        assert answers[operation, 200] > 10 and answers[operation, 422] > 30 and answers[operation, 405] > 3
        assert (answers[operation, 401] > 0) == bool(key)


def _checked(recorder) -> list[tuple[str, int]]:
    """The operation and the status of each answer; fails with the first one that the description does not allow."""
    for case, checks in recorder.checks.items():
        for failure in (check.failure_info for check in checks if check.failure_info is not None):
            answer = recorder.interactions[case].response
            pytest.fail(
                f"{recorder.label}: {failure.failure}\n{failure.code_sample}\n{answer.status_code} {answer.text}"
            )
    return [(recorder.label, interaction.response.status_code) for interaction in recorder.interactions.values()]


def test_the_description_names_the_columns_of_the_log_and_the_key(app, monkeypatch):
    client = TestClient(app, base_url="http://testserver")
    described = client.get("/openapi.json").json()
    context = described["components"]["schemas"]["DecideOne"]["properties"]["context"]
    assert {name: field["type"] for name, field in context["properties"].items()} == {
        "device": "string", "context_device": "string", "local_hour": "number", "context_local_hour": "number",
    }  # fmt: skip
    assert context["additionalProperties"] is False and "securitySchemes" not in described["components"]
    for path, kind in (("/ads/{name}", "image/png"), ("/pixel/{decision_id}.gif", "image/gif")):
        answers = described["paths"][path]["get"]["responses"]
        assert set(answers["200"]["content"]) == {kind} and set(answers["429"]["content"]) == {"application/json"}
    assert "Retry-After" in described["paths"]["/decide"]["post"]["responses"]["429"]["headers"]
    assert json.dumps(client.get("/openapi.json").json()) == json.dumps(described)


@pytest.mark.parametrize(("path", "body", "text"), [
    ("/decide", {"campaign": "c", "explain": 1}, "valid boolean"),
    ("/decide", {"campaign": "c", "position": "1"}, "a number is expected"),
    ("/decide", {"campaign": 5}, "valid string"),
    ("/decide", {"requests": [{}, {"campaign": "c", "context": {"weather": "rain"}}]}, "context_weather"),
    ("/track", {"events": [{"type": "click", "decision_id": "d", "timestamp": 1.0}]}, "a time is a text"),
    ("/track", {"events": [{"type": "conversion", "decision_id": "d", "revenue": "9"}]}, "valid number"),
])  # fmt: skip
def test_other_types_and_contexts_than_the_described_ones_are_refused(app, path, body, text):
    answer = TestClient(app, base_url="http://testserver").post(path, json=body)
    assert answer.status_code == 422 and text in answer.text


def test_a_whole_number_may_be_written_with_a_point(app):
    answer = TestClient(app, base_url="http://testserver").post(
        "/decide", content=b'{"position": 2.0}', headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 200
