"""Photos and wheels: right bytes from the first source that has them, a clear word where there is none."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest

from components.datasets import fashion_mnist
from components.datasets.openbandit import load_wheel
from components.datasets.packages import package_download
from components.settings.errors import UserError


@pytest.fixture
def copy(all_photos, tmp_path):
    """A user's own folder with the four right files."""
    source = fashion_mnist.find_files(None, package_download.DEFAULT_CACHE)
    folder = tmp_path / "copy"
    folder.mkdir()
    for name in fashion_mnist.FILES:
        shutil.copy(source / name, folder / name)
    return folder


@pytest.fixture
def cut_off(monkeypatch, tmp_path):
    """No system package, no apt, no Keras download."""
    monkeypatch.setattr(fashion_mnist, "SYSTEM_FOLDER", tmp_path / "nowhere")
    monkeypatch.setenv("PATH", str(tmp_path))

    def no_keras(cache):
        raise UserError("keras.datasets could not download it: no network")

    monkeypatch.setattr(fashion_mnist, "_from_keras", no_keras)


def test_all_photos_are_there_in_their_splits_and_categories(all_photos):
    assert all_photos.pictures.shape == (70_000, 28, 28)
    assert np.bincount(all_photos.split).tolist() == [60_000, 10_000]
    assert np.bincount(all_photos.category).tolist() == [7000] * 10
    assert len(set(all_photos.ids)) == 70_000


def test_an_existing_copy_goes_first_and_needs_nothing_else(copy, cut_off, tmp_path):
    assert fashion_mnist.find_files(copy, tmp_path / "cache") == copy


def test_a_copy_with_wrong_bytes_is_refused_by_its_digest(copy, cut_off, tmp_path):
    path = copy / "t10k-labels-idx1-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(UserError, match=r"t10k-labels-idx1-ubyte.gz has SHA-256 .* expected 8d3605d1.*"):
        fashion_mnist.find_files(copy, tmp_path / "cache")


def test_without_any_source_the_error_says_how_to_get_the_photos(cut_off, tmp_path):
    with pytest.raises(UserError) as error:
        fashion_mnist.find_files(None, tmp_path / "cache")
    message = str(error.value)
    assert "apt-get install dataset-fashion-mnist" in message
    assert "ADLOOM_FASHION_MNIST" in message
    assert "there is no apt-get on this machine" in message
    assert "\n" not in message


def test_a_named_folder_that_lacks_files_is_said(cut_off, tmp_path):
    with pytest.raises(UserError, match=r"lacks train-images"):
        fashion_mnist.find_files(tmp_path, tmp_path / "cache")


def test_a_downloaded_package_is_unpacked_without_root_and_kept(copy, cut_off, monkeypatch, tmp_path):
    def package(name, folder):
        assert name == "dataset-fashion-mnist"
        return folder / "some.deb"

    def unpack(deb, folder):
        target = folder / "nowhere"
        shutil.copytree(copy, target)

    monkeypatch.setattr(fashion_mnist, "SYSTEM_FOLDER", fashion_mnist.Path("/nowhere"))
    monkeypatch.setattr(fashion_mnist, "download_debian_package", package)
    monkeypatch.setattr(fashion_mnist, "unpack_debian_package", unpack)
    kept = fashion_mnist.find_files(None, tmp_path / "cache")
    assert kept == tmp_path / "cache" / "fashion-mnist"
    monkeypatch.setattr(fashion_mnist, "download_debian_package", lambda name, folder: pytest.fail("downloaded twice"))
    assert fashion_mnist.find_files(None, tmp_path / "cache") == kept


def test_two_builds_at_once_fill_the_cache_once(copy, cut_off, monkeypatch, tmp_path):
    both_looked, downloads = Barrier(2), []

    def system_folder_missing(folder):
        if folder == fashion_mnist.SYSTEM_FOLDER:
            both_looked.wait(timeout=60)  # now neither has found a source that is there
        return complete(folder)

    def from_debian(cache):
        downloads.append(cache)
        return fashion_mnist._copy_to_cache(copy, cache)

    complete = fashion_mnist._is_complete
    monkeypatch.setattr(fashion_mnist, "_is_complete", system_folder_missing)
    monkeypatch.setattr(fashion_mnist, "_from_debian", from_debian)
    cache = tmp_path / "cache"
    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(lambda _: fashion_mnist.find_files(None, cache), range(2)))
    assert found == [cache / "fashion-mnist"] * 2
    assert downloads == [cache]
    assert {path.name for path in found[0].iterdir()} == set(fashion_mnist.FILES)


def test_a_download_with_wrong_bytes_does_not_reach_the_cache(copy, cut_off, monkeypatch, tmp_path):
    (copy / "t10k-labels-idx1-ubyte.gz").write_bytes(b"wrong")
    monkeypatch.setattr(fashion_mnist, "_from_debian", lambda cache: fashion_mnist._copy_to_cache(copy, cache))
    with pytest.raises(UserError, match=r"t10k-labels-idx1-ubyte.gz has SHA-256|is not available here"):
        fashion_mnist.find_files(None, tmp_path / "cache")
    assert not (tmp_path / "cache" / "fashion-mnist" / "t10k-labels-idx1-ubyte.gz").exists()


def test_package_managers_that_fail_are_quoted(tmp_path):
    with pytest.raises(UserError, match="no-such-package-of-adloom: apt-get could not download it"):
        package_download.download_debian_package("no-such-package-of-adloom", tmp_path, update=False)
    (tmp_path / "broken.deb").write_bytes(b"not a package")
    with pytest.raises(UserError, match=r"broken\.deb: could not be unpacked"):
        package_download.unpack_debian_package(tmp_path / "broken.deb", tmp_path)


def test_a_wheel_with_wrong_bytes_is_refused(tmp_path):
    folder = tmp_path / "packages"
    folder.mkdir()
    (folder / "obp-0.4.1-py3-none-any.whl").write_bytes(b"PK")
    with pytest.raises(UserError, match=r"expected 87dec9ca"):
        load_wheel(tmp_path)
