from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import ValidationError
from upath import UPath

from components.contract.card import CARD_FILE, read_card, write_card
from components.settings.errors import UserError
from components.settings.sections import SimulatorConfig
from tests.components.contract.samples import card


@pytest.mark.parametrize("simulator", [None, SimulatorConfig(shoppers=7)])
def test_a_card_survives_its_file(tmp_path, simulator):
    written = card(simulator=simulator, licence="photos: MIT; 其余: Apache-2.0")
    write_card(written, UPath(tmp_path))
    assert read_card(UPath(tmp_path)) == written


def test_times_come_back_in_utc(tmp_path):
    east = datetime(2026, 3, 29, 8, tzinfo=timezone(timedelta(hours=8)))
    write_card(card(ends_at=east), UPath(tmp_path))
    assert read_card(UPath(tmp_path)).ends_at == datetime(2026, 3, 29, tzinfo=UTC)
    assert "2026-03-29T00:00:00Z" in (tmp_path / CARD_FILE).read_text()


def test_a_card_cannot_change():
    with pytest.raises(ValidationError):
        card().name = "other"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("conversion_window_days: 7", "conversion_window_days: '7'", "conversion_window_days.*valid integer"),
        ("conversion_window_days: 7", "conversion_window_days: 7.5", "conversion_window_days"),
        ("2026-03-29T00:00:00Z", "2026-03-29T00:00:00", "ends_at.*timezone"),
        ("currency: EUR", "currency: euros", "currency"),
        ("name: sample", "name: ../sample", "name"),
        ("name: sample", "nam: sample", "nam: unknown field"),
        ("currency: EUR\n", "", "currency: missing"),
        ("- events", "- evnets", "simulated.*evnets"),
        ("real: []", "real: [events]", "events: listed as real and as simulated"),
        ("currency: EUR", "currency: [EUR", "not valid YAML"),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path, old, new, said):
    write_card(card(), UPath(tmp_path))
    text = (tmp_path / CARD_FILE).read_text()
    assert old in text
    (tmp_path / CARD_FILE).write_text(text.replace(old, new))
    with pytest.raises(UserError, match=said) as caught:
        read_card(UPath(tmp_path))
    assert CARD_FILE in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_time_that_yaml_reads_itself_is_taken(tmp_path):
    write_card(card(), UPath(tmp_path))
    text = (tmp_path / CARD_FILE).read_text()
    (tmp_path / CARD_FILE).write_text(text.replace("'2026-03-29T00:00:00Z'", "2026-03-29T00:00:00Z"))
    assert read_card(UPath(tmp_path)) == card()


def test_no_card_and_no_mapping_are_named(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read_card(UPath(tmp_path))
    (tmp_path / CARD_FILE).write_text("- a\n- b\n")
    with pytest.raises(UserError, match="must be a mapping"):
        read_card(UPath(tmp_path))


BOMB = "a0: &a0 [lol]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BOMB, "aliases"),
        ("[" * 50_000, "not valid YAML"),
        ("name: " + "x" * 200_000, "at most 100,000"),
        ("ends_at: 2026-13-45", "not valid YAML"),
        ("name: ../x", "a data set's name"),
        ("name: con", "name of a device"),
        (f"name: {'x' * 101}", "at most 100 characters"),
    ],
    ids=["aliases", "nested", "long", "no date", "a path", "a device", "a long name"],
)
def test_a_card_that_is_an_attack_is_one_sentence(tmp_path, text, words):
    (tmp_path / "dataset.yaml").write_text(text)
    with pytest.raises(UserError, match=words) as caught:
        read_card(UPath(tmp_path))
    assert "dataset.yaml" in str(caught.value) and len(str(caught.value)) < 2000


def test_a_card_of_an_earlier_release_names_the_simulator_a_world(tmp_path):
    write_card(card(simulator=SimulatorConfig(shoppers=7)), UPath(tmp_path))
    file = tmp_path / "dataset.yaml"
    file.write_text(file.read_text().replace("simulator:", "world:"))
    assert read_card(UPath(tmp_path)).simulator == SimulatorConfig(shoppers=7)
