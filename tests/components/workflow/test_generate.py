"""From a package of generators to pictures of a category, a text or a context, and what cannot be asked for."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from upath import UPath

from components.ads.copy.copy_choice import CopyChooser, wordings
from components.contract.files.digests import digest_package
from components.contract.files.tables import write_bytes, write_json, write_table
from components.features import build_features, fit_features
from components.features.categoricals import Levels
from components.generators.build_training import start_training
from components.generators.keras_generator import NetworkGenerator
from components.generators.photos.photo_attributes import Scales
from components.generators.photos.training_photos import Photos
from components.generators.quality.photo_classifier import train_classifier
from components.generators.quality.photo_manifold import BOUNDS_FILE, Bounds
from components.generators.text_to_image.caption_parser import train_parser
from components.generators.text_to_image.text_to_image import TextToImage
from components.images import PictureEncoder
from components.interest import train_disjoint_models, train_interest
from components.interest.segment_scores import draw_audience
from components.registry.decision import Gate
from components.registry.mlflow_store import ModelRecord, fetch_package, open_store, register
from components.registry.promotion import apply_gate
from components.settings.errors import UserError
from components.settings.sections import FeaturesConfig, GeneratorConfig, InterestConfig
from components.workflow.generate import CTR_FIELDS, GenerateRequest, generate, make
from components.workflow.stage_inputs import DISJOINT_MODELS, disjoint_models_folder
from tests.components.features.shop import shop as draw_shop
from tests.components.registry.unreadable import cannot_be_read

CATEGORIES = ("ankle-boot", "bag")
WORDING = {"headline": "New in", "call_to_action": "Look", "palette": None, "template": None, "brand_color": None}
ABOUT = {"best": "vae-3", "texts": [WORDING], "max_attempts": 3}


@pytest.fixture(scope="module")
def files():
    """A package's files: a generator, and words that it is asked in."""
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (60, 12, 12, 1), dtype=np.uint8)
    pictures[:30, :6] = 240
    photos = Photos(pictures, np.repeat(np.arange(2, dtype=np.int32), 30), CATEGORIES, np.ones((60, 1), np.float32))
    config = GeneratorConfig(steps=2, max_seconds=60.0, batch_size=8, latent=4)
    training = start_training("vae", photos, config, seed=0)
    for _ in training.run():
        pass
    parser, _ = train_parser(CATEGORIES, seed=0, steps=150)
    scales = Scales.fit(pictures, photos.category, 2)
    return TextToImage(parser, training.generator(), train_classifier(photos, epochs=1), scales).files()


def order(text, count=2, category=None, segment=None):
    return GenerateRequest(count, category, segment, text, 0)


@pytest.mark.parametrize(("text", "category"), [("a dark ankle boot", "ankle-boot"), ("浅色手提包", "bag")])
def test_a_text_in_either_language_names_the_picture(files, text, category):
    rows = make(files, ABOUT, order(text))
    assert [row["category"] for row in rows] == [category] * 2
    assert {row["tone"] for row in rows} == {"dark" if category == "ankle-boot" else "light"}
    assert all(1 <= row["attempts"] <= 3 and isinstance(row["met"], bool) for row in rows)
    assert all(png.startswith(b"\x89PNG") for row in rows for png in (row["picture_png"], *row["ad_pngs"].values()))


def test_a_picture_that_never_passes_is_kept_and_marked(files):
    """Two steps of training draw noise, which no classifier takes for a slim, light bag."""
    rows = make(files, ABOUT, order("slim light bag", count=20))
    unmet = [row for row in rows if not row["met"]]
    assert unmet and all(row["attempts"] == 3 for row in unmet)


def test_only_the_first_signs_of_a_long_text_are_read(files):
    long = "a dark ankle boot " + "x" * 10_000
    assert make(files, ABOUT, order(long))[0]["category"] == "ankle-boot"
    assert make(files, ABOUT, order(long))[0]["text"] == long[:200]


@pytest.mark.parametrize("text", ["", "   ", "\n"])
def test_an_empty_text_is_refused(files, text):
    with pytest.raises(UserError, match="the text is empty"):
        make(files, ABOUT, order(text))


@pytest.mark.parametrize("text", ["qqq zzz vvv", "!!!", "微积分"])
def test_a_text_of_unknown_words_is_refused_with_what_is_known(files, text):
    with pytest.raises(UserError, match="ankle-boot, bag"):
        make(files, ABOUT, order(text))


def test_a_champion_without_words_says_so(files):
    bare = {name: content for name, content in files.items() if name.startswith("generator")}
    with pytest.raises(UserError, match="reads no captions"):
        make(bare, ABOUT, order("a bag"))


def test_categories_and_segments_are_taken_in_turn_and_unknown_ones_named(files):
    rows = make(files, ABOUT, order(None, count=3))
    assert [row["category"] for row in rows] == ["ankle-boot", "bag", "ankle-boot"]
    with pytest.raises(UserError, match="--category hat: the champion knows"):
        make(files, ABOUT, order(None, category="hat"))
    with pytest.raises(UserError, match="--segment 9: the champion knows"):
        make(files, ABOUT, order("a bag", segment=9))


class Painter:
    """A generator of three segments that paints black."""

    name, categories, segments = "vae-3", CATEGORIES, 3

    def sample(self, category, segment, seed):
        return np.zeros((len(category), 12, 12, 1), np.uint8)


@pytest.mark.parametrize(
    ("category", "segment", "due"),
    [
        ("bag", None, [("bag", 0), ("bag", 1), ("bag", 2), ("bag", 0)]),
        (None, 1, [("ankle-boot", 1), ("bag", 1), ("ankle-boot", 1), ("bag", 1)]),
        ("bag", 2, [("bag", 2)] * 4),
        (None, None, [("ankle-boot", 0), ("bag", 0), ("ankle-boot", 1), ("bag", 1)]),
    ],
)
def test_what_is_not_asked_for_is_taken_in_turn(monkeypatch, category, segment, due):
    monkeypatch.setattr(NetworkGenerator, "from_files", lambda files: Painter())
    rows = make({}, ABOUT, order(None, count=4, category=category, segment=segment))
    assert [(row["category"], row["segment"]) for row in rows] == due


@pytest.fixture(scope="module")
def wear():
    """A small shop's tables, what chooses words for it, and models of two disjoint groups of its shoppers."""
    tables = draw_shop()
    tables["campaigns"] = tables["campaigns"].assign(brand_color=["#aa3300", None])
    settings = FeaturesConfig(segments=2, text_dimensions=4, image_dimensions=3)
    model = fit_features(tables, settings)
    built = build_features(model, tables, settings)
    config = InterestConfig(models=("logistic",), bootstrap=20)
    interest = train_interest(built, config).champion
    return (
        tables,
        CopyChooser(interest, model, draw_audience(built, 2, 20, seed=0)),
        train_disjoint_models(built, config),
    )


@pytest.fixture(scope="module")
def published(wear, files, tmp_path_factory):
    """Registers the generators and the model of interest of a data set, the latter passed, refused or not at all."""
    tables, chooser, disjoint = wear
    folder, client = UPath(tmp_path_factory.mktemp("packages")), open_store()

    def entered(name, package, passed):
        version = register(client, ModelRecord(name, package, lambda: f"file://{package}", name, "0" * 64))
        apply_gate(client, name, version, Gate(passed, ("worse than the base rate",)))

    def publish(dataset, interest="passed"):
        scorer, generators = folder / dataset / "scorer", folder / dataset / "generators"
        for kind, part in (("interest", chooser.interest), ("features", chooser.features)):
            for name, content in part.files().items():
                write_bytes(content, scorer / kind / name)
        for number, part in enumerate(disjoint if interest == "passed" else ()):
            for name, content in part.files().items():
                write_bytes(content, scorer / DISJOINT_MODELS / str(number) / name)
        for name, content in files.items():
            write_bytes(content, generators / "vae-3" / name)
        photos = np.random.default_rng(2).integers(0, 256, (40, 12, 12, 1), dtype=np.uint8)
        write_bytes(Bounds.fit(photos, PictureEncoder.fit(photos, 4)).to_bytes(), generators / BOUNDS_FILE)
        write_table(chooser.audience, generators / "audience.parquet")
        known = {} if interest == "older" else {"interest": digest_package(scorer), "campaigns": wordings(tables)}
        write_json({**ABOUT, "data set": dataset, **known}, generators / "about.json")
        if interest in ("passed", "refused", "without disjoint models"):
            entered(f"{dataset}-interest", scorer, interest != "refused")
        entered(f"{dataset}-creatives", generators, True)
        return dataset

    return publish


def test_disjoint_models_of_an_earlier_version_are_found(tmp_path):
    model = UPath(tmp_path)
    write_bytes(b"network", model / "halves" / "0" / "network.keras")
    assert disjoint_models_folder(model).name == "halves"
    write_bytes(b"network", model / DISJOINT_MODELS / "0" / "network.keras")
    assert disjoint_models_folder(model).name == DISJOINT_MODELS


@pytest.mark.slow
def test_words_are_chosen_for_a_context_and_the_manifest_says_what_it_is_worth(published, tmp_path):
    out = UPath(tmp_path / "ads")
    dataset = published("wear")
    made = generate(dataset, out, GenerateRequest(4, "bag", None, None, 0, placement="search", hour=21))
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["interest_version"] == 1
    assert made.ctr == tuple(np.mean([row[name] for row in manifest["creatives"]]) for name in CTR_FIELDS)
    for row in manifest["creatives"]:
        assert (row["placement"], row["hour"], row["category"]) == ("search", 21, "bag")
        assert row["template"] in ("bold", "plain") and row["palette"] in ("warm", "cool")
        assert 0 < row["average_ctr"] <= row["expected_ctr"] < 1 and row["unaware_ctr"] <= row["expected_ctr"]
        assert row["brand_color"] == {"spring": "#aa3300", "春季": None}[row["campaign"]]
        assert row["ads"] == [f"{row['picture'][:3]}-ad-300x250.png"] and row["ads"][0] in manifest["digests"]
    again = UPath(tmp_path / "again")
    generate(dataset, again, GenerateRequest(4, "bag", None, None, 0, placement="search", hour=21))
    assert (again / "manifest.json").read_bytes() == (out / "manifest.json").read_bytes()
    plain = UPath(tmp_path / "plain")
    assert generate(dataset, plain, GenerateRequest(1, "bag", None, None, 0)).ctr is None
    manifest = json.loads((plain / "manifest.json").read_text())
    assert "interest_version" not in manifest
    assert set(manifest["creatives"][0]) == {"picture", "ads", "generator", "category", "segment", *WORDING}


@pytest.mark.slow
def test_personalising_says_of_each_picture_what_both_models_saw(published, tmp_path):
    """Clicks of that shop do not depend on pictures: every search abstains, in the manifest and in the delivery."""
    dataset, request = published("taste"), GenerateRequest(2, "bag", None, None, 0, personalise=True)
    made = generate(dataset, UPath(tmp_path / "ads"), request)
    rows = json.loads((tmp_path / "ads" / "manifest.json").read_text())["creatives"]
    assert {row["steps"] for row in rows} == {0} and sum(made.ordinary.values()) == made.written == 2
    for row in rows:
        assert row["claimed_gain"] == row["watched_gain"] == 0 and row["reason"] in made.ordinary
        assert row["campaign"] in ("spring", "春季") and row["category"] == "bag" and row["headline"]
    generate(dataset, UPath(tmp_path / "again"), request)
    assert (tmp_path / "again" / "manifest.json").read_bytes() == (tmp_path / "ads" / "manifest.json").read_bytes()
    both = generate(dataset, UPath(tmp_path / "both"), replace(request, hour=3))
    assert both.ctr and both.ordinary


@pytest.mark.slow
def test_personalising_without_disjoint_models_or_with_a_text_is_refused(published, tmp_path, wear):
    _, _, disjoint = wear
    dataset = published("alone", "without disjoint models")
    with pytest.raises(
        UserError, match=r"--personalise: alone-interest version 1 has no two models of disjoint shoppers"
    ):
        generate(dataset, UPath(tmp_path / "ads"), GenerateRequest(1, None, None, None, 0, personalise=True))
    with pytest.raises(UserError, match=r"--personalise .* leave --text out"):
        generate(dataset, UPath(tmp_path / "ads"), GenerateRequest(1, None, None, "a bag", 0, personalise=True))
    assert not (tmp_path / "ads").exists() and len(disjoint) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("interest", "words"),
    [("refused", "worse than the base rate"), ("absent", "lacks the version"), ("older", "made before")],
)
def test_without_the_model_that_would_choose_a_context_is_refused(published, tmp_path, interest, words):
    with pytest.raises(UserError, match=words):
        generate(
            published(interest, interest), UPath(tmp_path / "ads"), GenerateRequest(1, None, None, None, 0, hour=3)
        )
    assert not (tmp_path / "ads").exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("about.json", []),
        ("about.json", {}),
        ("about.json", {**ABOUT, "best": 3}),
        ("vae-3/generator.json", []),
        ("vae-3/generator.json", {}),
    ],
)
@pytest.mark.parametrize("text", [None, "a bag"])
def test_generators_that_cannot_be_read_are_named_with_the_way_out(files, tmp_path, name, content, text):
    dataset, generators, client = f"unread-{tmp_path.name}".replace("_", "-"), UPath(tmp_path / "package"), open_store()
    for file, made in files.items():
        write_bytes(made, generators / "vae-3" / file)
    write_json(ABOUT, generators / "about.json")
    write_json(content, generators / name)
    version = register(
        client, ModelRecord(f"{dataset}-creatives", Path(generators), lambda: "file:///none", dataset, "0" * 64)
    )
    apply_gate(client, f"{dataset}-creatives", version, Gate(True, ()))
    with pytest.raises(UserError, match=cannot_be_read(f"{dataset}-creatives version 1, the champion", dataset)):
        generate(dataset, UPath(tmp_path / "ads"), order(text))
    assert not (tmp_path / "ads").exists()


@pytest.mark.slow
@pytest.mark.parametrize("file", ["features/features.npz", "interest/calibration.json", f"{DISJOINT_MODELS}/0"])
def test_so_is_an_interest_model_that_cannot_be_read(published, tmp_path, monkeypatch, file):
    whole = fetch_package

    def damaged(version, folder):
        whole(version, folder)
        place = Path(folder) / file
        for path in [place] if place.is_file() else place.iterdir() if place.exists() else []:
            path.write_bytes(b"[]")

    monkeypatch.setattr("components.registry.mlflow_store.fetch_package", damaged)
    dataset = published(f"unread-{file.split('/')[0].replace('_', '-')}")
    wanted = GenerateRequest(1, None, None, None, 0, hour=3, personalise=True)
    words = cannot_be_read(f"{dataset}-interest version 1, which scored the champion's pool", dataset)
    with pytest.raises(UserError, match=words):
        generate(dataset, UPath(tmp_path / "ads"), wanted)


def test_an_unknown_placement_is_named_with_those_that_there_are(wear, files):
    tables, chooser, _ = wear
    about = {**ABOUT, "campaigns": wordings(tables)}
    with pytest.raises(UserError, match='--placement cellar: the champion knows \\["home", "search"\\]'):
        make(files, about, GenerateRequest(1, None, None, None, 0, placement="cellar"), chooser)
    context = replace(chooser.features.context, placement=Levels("context_placement", ()))
    without = replace(chooser, features=replace(chooser.features, context=context))
    with pytest.raises(UserError, match="--placement home: the log of this data set names no placements"):
        make(files, about, GenerateRequest(1, None, None, None, 0, placement="home"), without)


def test_words_that_the_model_holds_for_equal_are_drawn(wear, files):
    """It has learned nothing about calls to action from so few clicks, and does not always take the first."""
    tables, chooser, _ = wear
    rows = make(
        files, {**ABOUT, "campaigns": wordings(tables)}, GenerateRequest(12, None, None, None, 0, hour=3), chooser
    )
    assert len({row["call_to_action"] for row in rows}) > 1
