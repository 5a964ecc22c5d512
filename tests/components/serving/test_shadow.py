"""The challenger in shadow: it changes no answer and no row of the log, and what it would have done is counted."""

import asyncio

import numpy as np
import pytest

from components.policies.online_policy import AdDecision
from components.registry.promotion import CHALLENGER
from components.serving.http_api.http_messages import DecideOne
from components.serving.service import Service
from components.serving.shadow import Shadow, overlap
from components.settings.sections import ServingConfig
from tests.components.policies.packages import package
from tests.components.serving.scene import NAME, crowned


@pytest.fixture
def service(registry, little_shop, tmp_path):
    service = Service(little_shop, ServingConfig(), tmp_path / "data" / "shop", tmp_path / "serving")
    yield service
    service.shadow.close()
    service.journal.close()
    service.history.close()


def figures(service) -> dict[str, float]:
    lines = service.metrics.page().decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if "adloom_shadow" in line)
            if not name.startswith("#")}  # fmt: skip


async def asked(service, count: int) -> list:
    return await service.decide([DecideOne(shopper_id="s1", campaign="c", placement="top")] * count)


@pytest.mark.parametrize(("share", "common"), [(0.9, 0.1), (0.1, 0.9)])
def test_its_decisions_are_compared_with_those_that_were_shown(service, registry, tmp_path, share, common):
    (tmp_path / "challenger").mkdir()
    (tmp_path / "challenger" / "note.txt").write_text("another version, whatever its policy")
    second = crowned(registry, tmp_path / "challenger", package(share))
    crowned(registry, tmp_path / "champion", package(0.1))
    registry.set_registered_model_alias(NAME, CHALLENGER, str(second.number))
    service.watch.refresh()
    service.challenger.refresh()
    answers = asyncio.run(asked(service, 200))
    service.shadow.close()
    assert {answer.policy_version for answer in answers} == {service.watch.current.version} != {second.number}
    seen = figures(service)
    same, other = (seen.get(f'adloom_shadow_total{{creative="{name}"}}', 0.0) for name in ("same", "another"))
    assert same + other == 200 == seen["adloom_shadow_seconds_count"]
    least = 0.9 * min(share, 0.1) + 0.9 * min(1 - share, 0.9) + 0.1
    assert seen["adloom_shadow_overlap_sum"] / 200 == pytest.approx(least)
    if share == 0.1:
        assert other == 0, "an equal policy draws the same"
    else:
        assert 0.5 < other / 200 < 0.9


def test_without_a_challenger_and_for_the_champion_itself_nothing_is_counted(service, registry, tmp_path):
    champion = crowned(registry, tmp_path / "champion", package(0.2))
    service.watch.refresh()
    service.challenger.refresh()
    asyncio.run(asked(service, 3))
    registry.set_registered_model_alias(NAME, CHALLENGER, str(champion.number))
    service.challenger.refresh()
    asyncio.run(asked(service, 3))
    service.shadow.close()
    assert figures(service).get("adloom_shadow_seconds_count") == 0


def test_what_it_cannot_keep_up_with_is_skipped(service, registry, tmp_path, monkeypatch):
    second = crowned(registry, tmp_path / "challenger", package(0.3))
    crowned(registry, tmp_path / "champion", package(0.4))
    registry.set_registered_model_alias(NAME, CHALLENGER, str(second.number))
    service.watch.refresh()
    service.challenger.refresh()
    monkeypatch.setattr(Shadow, "_compare", lambda *_: None)  # it never makes room
    asyncio.run(asked(service, 1010))
    assert figures(service)['adloom_shadow_total{creative="skipped"}'] == 10


def test_overlap_by_hand():
    def decision(names, probabilities):
        return AdDecision("c", np.array(list(names), dtype=object), np.array(probabilities), 0)

    assert overlap(decision("ab", [0.3, 0.7]), decision("ba", [0.5, 0.5])) == pytest.approx(0.8)
    assert overlap(decision("ab", [0.3, 0.7]), decision("cd", [0.5, 0.5])) == 0.0
