"""A network in the place of principal components: a run leaves one, and a run that is told to sees by it."""

import shutil

import numpy as np
import pytest
from upath import UPath

from components.contract.files.digests import digest_tree
from components.contract.files.tables import files_in, read_frame, read_json
from components.features import FeatureModel
from components.images import NetworkEncoder, decode_all
from components.settings.errors import UserError
from components.settings.params_file import load_settings
from components.settings.paths import Paths
from components.workflow import run_stage
from tests.components.images.sketches import dense_encoder
from tests.flows.conftest import copied

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def settings(built_shop):
    def settings_with(*more: str):
        return load_settings(built_shop.params, "marketplace", ("creatives.generators=[vae]", *more))

    return settings_with


@pytest.fixture(scope="module")
def finished(ready, settings, tmp_path_factory) -> Paths:
    """The small shop up to its creatives stage, by principal components; for reading only."""
    paths = copied(ready, tmp_path_factory.mktemp("finished"))
    run_stage.run("creatives", settings(), paths)
    return paths


@pytest.fixture
def paths(finished, tmp_path) -> Paths:
    return copied(finished, tmp_path / "here")


@pytest.fixture
def file(finished, tmp_path) -> UPath:
    """A copy of the encoder that the finished run left."""
    shutil.copy(finished.stage("creatives") / "model" / "vae-3" / "encoder.keras", tmp_path / "encoder.keras")
    return UPath(tmp_path / "encoder.keras")


def test_a_run_sees_by_the_network_that_another_left(paths, file, settings):
    seeing = settings(f"features.encoder={file}")
    for name in ("features", "interest", "creatives"):
        assert run_stage.run(name, seeing, paths), name
    file.unlink()  # what was made needs it no more
    model = FeatureModel.from_files(files_in(paths.stage("features") / "model"))
    assert model.files() == files_in(paths.stage("interest") / "model" / "features")
    shown = read_frame(paths.stage("features") / "creatives.parquet").set_index("product_id")
    looks = shown.filter(like="creative_look:")
    assert looks.shape[1] == model.network.dimensions == 4 and (looks.std() > 0).all()
    images = read_frame(paths.stage("validation") / "images.parquet")
    products = read_frame(paths.stage("validation") / "products.parquet").set_index("product_id")
    photos = images.set_index("image_id").loc[products.loc[shown.index, "image_id"]].reset_index()
    np.testing.assert_allclose(looks, model.network.embed(decode_all(photos, 28, 1)), atol=1e-5)
    assert set(read_json(paths.stage("creatives") / "metrics.json")["generators"]) == {"vae-3"}


def test_other_content_makes_the_features_anew_and_another_place_does_not(paths, file, settings):
    plain = digest_tree(paths.stage("features"))
    assert run_stage.run("features", settings(f"features.encoder={file}"), paths)
    moved = file.rename(file.with_name("moved.keras"))
    assert not run_stage.run("features", settings(f"features.encoder={moved}"), paths)
    moved.write_bytes(dense_encoder((28, 28, 1), 4, 0.1))
    assert run_stage.run("features", settings(f"features.encoder={moved}"), paths)
    assert run_stage.run("features", settings(), paths)
    assert digest_tree(paths.stage("features")) == plain


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"not a network", "this is no Keras network"),
        ("generator.keras", "this network is not an image encoder: its inputs"),
    ],
    ids=["missing", "text", "generator"],
)
def test_a_file_that_is_no_encoder_stops_the_stage_and_nothing_is_lost(paths, tmp_path, settings, content, words):
    file, before = tmp_path / "wrong.keras", digest_tree(paths.stage("features"), skip=())
    if isinstance(content, str):
        shutil.copy(paths.stage("creatives") / "model" / "vae-3" / content, file)
    elif content is not None:
        file.write_bytes(content)
    with pytest.raises(UserError, match=f"features.encoder {file}") as caught:
        run_stage.run("features", settings(f"features.encoder={file}"), paths)
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert digest_tree(paths.stage("features"), skip=()) == before
    assert not run_stage.run("features", settings(), paths)


def test_the_left_encoder_is_a_network_of_one_picture(finished, file):
    encoder = NetworkEncoder.from_bytes(file.read_bytes())
    assert encoder.shape == (28, 28, 1) and encoder.dimensions == 4
    assert [tensor.name for tensor in encoder.network.inputs] == ["pictures"]
