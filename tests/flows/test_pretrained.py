"""The creatives stage beside a generator and a text encoder that lie in local folders."""

import shutil

import pytest
from upath import UPath

from components.contract.files.digests import digest_tree
from components.contract.files.tables import read_frame, read_json
from components.contract.origins import PRODUCT_ADS
from components.generators.build_training import start_training
from components.generators.photos.training_photos import training_photos
from components.settings.errors import UserError
from components.settings.params_file import load_settings
from components.settings.paths import Paths
from components.settings.sections import GeneratorConfig
from components.workflow import run_stage
from components.workflow.generate import GenerateRequest, _read, make
from components.workflow.remote import remote_stage
from components.workflow.stage_inputs import built_features, validated
from tests.components.generators import tiny
from tests.flows.conftest import copied

pytestmark = pytest.mark.slow

OWN = "pretrained-flow-3"
PLACES = (("pretrained", "flow"), ("text_encoder", "words"))


@pytest.fixture(scope="module")
def folders(ready, tmp_path_factory) -> UPath:
    """`flow`: a generator that draws what it is asked for; `words`: an encoder, as exported."""
    folder = UPath(tmp_path_factory.mktemp("folders"))
    photos, _, _ = training_photos(validated(ready)[0], built_features(ready)[1], None)
    config = GeneratorConfig(
        steps=800, max_seconds=300.0, batch_size=128, latent=128, width=256, learning_rate=2e-3, steps_per_dispatch=20
    )
    training = start_training("flow", photos, config, seed=0)
    for _ in training.run():
        pass
    encoder = tiny.files(photos.categories)
    for name, files in (("flow", training.generator().files()), ("words", encoder)):
        (folder / name / "onnx").mkdir(parents=True)
        for file, content in files.items():
            (folder / name / ("onnx" if file == "model.onnx" else "") / file).write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def settings_with(built_shop, folders):
    """Settings with both folders, those of `place`, and a judge that has seen enough to tell; overrides come last."""

    def settings(*more: str, place=folders):
        overrides = (
            *(f"creatives.{name}={place / folder}" for name, folder in PLACES),
            *("creatives.generators=[vae]", "creatives.quality_photos=600", "creatives.quality_samples=1000"),
            *("creatives.min_cas=0.3", "creatives.min_category_match=0.3", "creatives.parser_steps=200"),
        )
        return load_settings(built_shop.params, "marketplace", (*overrides, *more))

    return settings


@pytest.fixture(scope="module")
def done(ready, settings_with, tmp_path_factory) -> Paths:
    """The small shop after its creatives stage with both folders, for reading only."""
    paths = copied(ready, tmp_path_factory.mktemp("done"))
    assert run_stage.run("creatives", settings_with(), paths)
    return paths


@pytest.fixture
def paths(ready, tmp_path) -> Paths:
    """The small shop before its creatives stage, to be spoiled."""
    return copied(ready, tmp_path / "here")


@pytest.fixture
def other_place(folders, tmp_path) -> UPath:
    """A copy of both folders, to be spoiled."""
    shutil.copytree(folders, tmp_path / "folders")
    return UPath(tmp_path / "folders")


def test_both_join_the_stage_and_its_package(done, folders):
    record, made = read_json(done.stage("creatives") / "metrics.json"), done.stage("creatives")
    assert set(record["quality"]) == {"vae-3", OWN} and set(record["generators"]) == {"vae-3"}
    assert record["best"] == OWN, record["gate"]
    inputs = read_json(made / "manifest.json")["inputs"]
    assert {f"creatives.{name}: from a local folder, digest {inputs[name]}" for name, _ in PLACES} <= {
        *record["remarks"]
    }
    (read,) = [remark for remark in record["remarks"] if remark.startswith("captions never seen that are read right: ")]
    shares = dict(reversed(part.split(" of the ")) for part in read.split(": ")[1].split(", "))
    assert set(shares) == {"English", "Chinese"} and min(map(float, shares.values())) > 0.6, read
    assert set(read_frame(made / "pool" / "creatives.parquet")["origin"]) - {PRODUCT_ADS} == {OWN}
    assert {path.name for path in (made / "boards").iterdir()} >= {f"{OWN}.png", "vae-3.png", "captions.png"}
    assert str(folders) not in (made / "manifest.json").read_text() + (made / "metrics.json").read_text()


@pytest.mark.parametrize(("text", "category", "tone"), [("深色短靴", "ankle-boot", "dark"), ("a bag", "bag", "any")])
def test_the_package_draws_what_is_said_without_the_folders(done, text, category, tone):
    files, about = _read(done.stage("creatives") / "model")
    rows = make(files, about, GenerateRequest(2, None, None, text, 0))
    assert [(row["generator"], row["category"], row["tone"]) for row in rows] == [(OWN, category, tone)] * 2


def test_what_lies_in_the_folders_counts_and_not_where_they_lie(done, settings_with, other_place):
    moved = settings_with(place=other_place)
    assert not remote_stage.must_run(moved, done)
    (other_place / "flow" / "README.md").write_text("of no account")
    assert not remote_stage.must_run(moved, done)
    for file in ("flow/generator.json", "flow/generator.keras", "words/tokenizer.json", "words/onnx/model.onnx"):
        whole = (other_place / file).read_bytes()
        (other_place / file).write_bytes(whole + b" ")
        assert remote_stage.must_run(moved, done), file
        (other_place / file).write_bytes(whole)
    assert not remote_stage.must_run(moved, done)
    for name, _ in PLACES:
        assert remote_stage.must_run(settings_with(f"creatives.{name}=null"), done)


def spoiled(folder, file: str, old: str, new: str) -> None:
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda f: shutil.rmtree(f / "flow"), r"creatives\.pretrained: \S+/flow: there is no such folder on this mach"),
        (
            lambda f: (f / "flow" / "generator.json").unlink(),
            r"pretrained: \S+/flow: there is no generator\.json; it needs generator\.keras and",
        ),
        (lambda f: (f / "flow" / "generator.keras").write_bytes(b"x"), r"pretrained: \S+/flow: this is no Keras netw"),
        (
            lambda f: spoiled(f, "flow/generator.json", '"segments": 6', '"segments": 9'),
            r"pretrained: \S+/flow: its number of segments: 9, expected 6 as in this data set",
        ),
        (
            lambda f: spoiled(f, "flow/generator.json", '"bag"', '"hat"'),
            r"pretrained: \S+/flow: its categories: .*'hat'.*, expected .*'bag'.* as in this data set",
        ),
        (lambda f: shutil.rmtree(f / "words"), r"creatives\.text_encoder: \S+/words: there is no such folder"),
        (
            lambda f: (f / "words" / "tokenizer.json").unlink(),
            r"\S+/words: there is no tokenizer\.json; it needs token",
        ),
        (
            lambda f: shutil.rmtree(f / "words" / "onnx"),
            r"there is no model\.onnx or onnx/model\.onnx; it needs tokeni",
        ),
        (
            lambda f: (f / "words" / "onnx" / "model.onnx").write_bytes(b"x"),
            r"creatives\.text_encoder: \S+/words: model\.onnx is not an ONNX model",
        ),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_trained(
    paths, settings_with, other_place, monkeypatch, spoil, words
):
    spoil(other_place)

    def never(*_):
        raise AssertionError("it trained")

    monkeypatch.setattr("components.workflow.checkpointed_training.train", never)
    with pytest.raises(UserError, match=words) as caught:
        run_stage.run("creatives", settings_with(place=other_place), paths)
    assert "\n" not in str(caught.value)
    assert not paths.stage("creatives").exists()


def test_a_pretrained_generator_may_stand_alone_and_a_rerun_repeats_its_bytes(paths, settings_with):
    alone = settings_with("creatives.generators=[]", "creatives.quality_samples=100", "creatives.parser_steps=20")
    assert run_stage.run("creatives", alone, paths)
    assert list(read_json(paths.stage("creatives") / "metrics.json")["quality"]) == [OWN]
    made = digest_tree(paths.stage("creatives"), skip=())
    assert run_stage.run("creatives", alone, paths, force=True)
    assert digest_tree(paths.stage("creatives"), skip=()) == made
    with pytest.raises(UserError, match=r"creatives\.generators is empty and creatives\.pretrained is null"):
        run_stage.run("creatives", settings_with("creatives.generators=[]", "creatives.pretrained=null"), paths)
    assert digest_tree(paths.stage("creatives"), skip=()) == made


def test_a_worker_needs_the_same_folders(paths, settings_with, other_place, tmp_path, monkeypatch):
    settings = settings_with(f"creatives.store={tmp_path / 'store'}", place=other_place)
    worker = Paths.of("marketplace", workdir=str(tmp_path / "there"))
    worker.docs.mkdir(parents=True)
    (worker.docs / "creatives.md").touch()
    order = remote_stage.hand_over(settings, paths)
    ran = []
    monkeypatch.setattr(run_stage, "run", lambda *_: ran.append(True))
    remote_stage.carry_out(order, settings, worker)
    assert ran == [True]
    (other_place / "words" / "tokenizer.json").write_text("{}")
    with pytest.raises(UserError, match=r"creatives\.text_encoder does not name the same files on this worker"):
        remote_stage.carry_out(order, settings, worker)
    with pytest.raises(UserError, match=r"creatives\.pretrained does not name the same files on this worker"):
        remote_stage.carry_out(order, settings_with("creatives.pretrained=null", "creatives.text_encoder=null"), worker)
    shutil.rmtree(other_place)
    with pytest.raises(UserError, match=r"creatives\.pretrained: \S+/flow: there is no such folder on this machine"):
        remote_stage.carry_out(order, settings, worker)
    assert ran == [True]
