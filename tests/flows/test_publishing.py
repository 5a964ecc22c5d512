"""What a run as of an earlier time leaves alone, unless it is told to publish."""

from types import SimpleNamespace

import pytest

from components.settings.params_file import load_settings
from components.settings.paths import Paths
from flows import pipeline


@pytest.fixture
def done(monkeypatch) -> list[str]:
    """What a run of stubbed steps did that changes the registry or the export."""
    steps: list[str] = []
    for name in ("charge", "publish", "export"):
        monkeypatch.setattr(pipeline, name, lambda *_, name=name: steps.append(name) or {})
    monkeypatch.setattr(pipeline, "report", lambda *_: "report.html")
    for name in ("snapshot", "creatives", "run_and_show", "create_markdown_artifact", "create_link_artifact"):
        monkeypatch.setattr(pipeline, name, lambda *_, **__: None)
    monkeypatch.setattr(pipeline.publication, "preview", lambda *_: steps.append("preview") or {})
    monkeypatch.setattr(pipeline.publication, "page", lambda _: "")
    monkeypatch.setattr(pipeline, "runtime", SimpleNamespace(flow_run=SimpleNamespace(id="run")))
    return steps


@pytest.mark.parametrize(
    ("overrides", "publish_as_of", "expected"),
    [
        ((), False, ["charge", "publish", "export"]),
        (("validation.as_of=2026-01-20",), False, ["preview"]),
        (("validation.as_of=2026-01-20",), True, ["charge", "publish", "export"]),
    ],
)
def test_a_run_as_of_an_earlier_time_publishes_only_when_told_to(tmp_path, done, overrides, publish_as_of, expected):
    (tmp_path / "params.yaml").write_text("{}")
    settings = load_settings(tmp_path / "params.yaml", "shop", overrides)
    paths, parameters = Paths.of("shop", workdir=str(tmp_path)), ("params.yaml", None, str(tmp_path), overrides)
    pipeline._run("shop", settings, paths, parameters, publish_as_of)
    assert done == expected
