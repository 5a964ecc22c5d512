"""npm packages without npm: the registry that npm's configuration names, by its rules, and else `npm pack`."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.datasets import storefront
from components.datasets.packages import npm_packages
from components.datasets.packages.npm_packages import download_npm_package, npm_registry
from components.settings.errors import UserError

CONTENT = b"an archive"
PLACE = "/npm/@shop/things/-/things-1.0.tgz"


@pytest.fixture
def registry():
    """The address of a registry with one package."""

    class Registry(BaseHTTPRequestHandler):
        def do_GET(self):
            known = self.path == PLACE
            self.send_response(200 if known else 404)
            self.send_header("Content-Length", str(len(CONTENT) if known else 0))
            self.end_headers()
            self.wfile.write(CONTENT if known else b"")

        def log_message(self, *parts):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/npm"
    server.shutdown()
    server.server_close()


@pytest.fixture
def configured(monkeypatch, tmp_path):
    """A machine without npm and without its configuration: (project folder, home)."""
    for name in list(npm_packages.os.environ):
        if name.lower().startswith("npm_config_"):
            monkeypatch.delenv(name)
    project, home = tmp_path / "project", tmp_path / "home"
    for folder in (project, home):
        folder.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(npm_packages, "NPMRC", (tmp_path / "npmrc",))
    monkeypatch.chdir(project)
    return project, home


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def fake_npm(tmp_path: Path, script: str) -> None:
    (tmp_path / "bin").mkdir(exist_ok=True)
    npm = tmp_path / "bin" / "npm"
    npm.write_text(f"#!/bin/sh\n{script}\n")
    npm.chmod(0o755)


def test_the_nearest_configuration_names_the_registry_and_a_scopes_own_comes_first(configured, monkeypatch, tmp_path):
    project, home = configured
    assert npm_registry("@shop") is None
    (tmp_path / "npmrc").write_text("registry=https://machine.test/\n")
    assert npm_registry("@shop") == "https://machine.test/"
    (home / ".npmrc").write_text("; a comment\n# registry=https://no.test\nregistry = https://user.test/\n")
    assert npm_registry("@shop") == "https://user.test/"
    monkeypatch.setenv("HOST", "project.test")
    (project / ".npmrc").write_text('registry="https://${HOST}/npm"\n')
    assert npm_registry("@shop") == "https://project.test/npm"
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "https://environment.test")
    assert npm_registry("@shop") == "https://environment.test"
    (tmp_path / "npmrc").write_text("@shop:registry=https://scope.test\n")
    assert npm_registry("@shop") == "https://scope.test"
    assert npm_registry("@other") == "https://environment.test"


@pytest.mark.parametrize("value", ["", "file:///etc", "ftp://files.test", "registry.test"])
def test_an_address_that_is_none_of_a_registry_is_not_read(value, configured, monkeypatch):
    monkeypatch.setenv("npm_config_registry", value)
    assert npm_registry("@shop") is None


@given(text=st.text(max_size=200))
def test_no_text_of_an_npmrc_makes_it_fail(text, tmp_path_factory):
    file = tmp_path_factory.mktemp("npm") / ".npmrc"
    file.write_text(text, encoding="utf-8", errors="surrogatepass")
    assert all(isinstance(value, str) for value in npm_packages._npmrc(file).values())


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_package_comes_from_the_registry_without_npm(slash, registry, configured, monkeypatch, tmp_path):
    monkeypatch.setenv("npm_config_registry", registry + slash)
    archive = download_npm_package("@shop/things", "1.0", tmp_path / "cache", digest(CONTENT))
    assert archive == tmp_path / "cache" / "shop-things-1.0.tgz" and archive.read_bytes() == CONTENT
    assert [file.name for file in archive.parent.iterdir()] == [archive.name]


def test_npm_is_asked_where_no_registry_is_named_or_it_lacks_the_package(registry, configured, monkeypatch, tmp_path):
    fake_npm(tmp_path, '[ "$1 $2 $3" = "pack --silent @shop/things@2.0" ] && echo packed > shop-things-2.0.tgz')
    assert download_npm_package("@shop/things", "2.0", tmp_path / "one", digest(b"packed\n")).read_text() == "packed\n"
    monkeypatch.setenv("npm_config_registry", registry)
    assert (
        download_npm_package("@shop/things", "2.0", tmp_path / "other", digest(b"packed\n")).read_text() == "packed\n"
    )


def test_a_file_with_another_digest_never_enters_the_cache_and_npm_is_asked_next(
    registry, configured, monkeypatch, tmp_path
):
    monkeypatch.setenv("npm_config_registry", registry)
    folder = tmp_path / "cache"
    with pytest.raises(UserError) as error:
        download_npm_package("@shop/things", "1.0", folder, digest(b"packed\n"))
    wrong = f"the file has SHA-256 {digest(CONTENT)}, expected {digest(b'packed' + bytes([10]))}"
    assert str(error.value).endswith(f"npm's configuration: {wrong}; there is no npm on this machine")
    assert not list(folder.iterdir())
    fake_npm(tmp_path, "echo packed > shop-things-1.0.tgz")
    assert download_npm_package("@shop/things", "1.0", folder, digest(b"packed\n")).read_text() == "packed\n"
    assert [file.name for file in folder.iterdir()] == ["shop-things-1.0.tgz"]
    with pytest.raises(UserError, match=f"the file has SHA-256 {digest(CONTENT)}, .*; the file has SHA-256 "):
        download_npm_package("@shop/things", "1.0", tmp_path / "third", digest(b"others"))
    assert not list((tmp_path / "third").iterdir())


def test_where_neither_works_the_reasons_are_given_without_an_address(registry, configured, monkeypatch, tmp_path):
    with pytest.raises(UserError, match=r"neither npm_config_registry nor .*; there is no npm on this machine"):
        download_npm_package("@shop/things", "2.0", tmp_path, digest(CONTENT))
    fake_npm(tmp_path, "echo npm error code E404 >&2; echo npm error A complete log of this run is there >&2; exit 1")
    monkeypatch.setenv("npm_config_registry", registry)
    with pytest.raises(
        UserError, match=r"registry in npm's configuration: HTTP status 404; npm error code E404$"
    ) as error:
        download_npm_package("@shop/things", "2.0", tmp_path, digest(CONTENT))
    assert "127.0.0.1" not in str(error.value)
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:1/npm")
    with pytest.raises(UserError, match="refused"):
        download_npm_package("@shop/things", "1.0", tmp_path, digest(CONTENT))


def test_an_endless_answer_is_cut_off(registry, configured, monkeypatch, tmp_path):
    monkeypatch.setattr(npm_packages, "MAX_ARCHIVE", 3)
    monkeypatch.setenv("npm_config_registry", registry)
    with pytest.raises(UserError, match="the file has more than 3 bytes"):
        download_npm_package("@shop/things", "1.0", tmp_path, digest(CONTENT))
    assert not list(tmp_path.glob("*.tgz"))


def test_storefront_says_how_to_get_the_package_and_checks_its_digest(configured, tmp_path):
    with pytest.raises(UserError) as error:
        storefront.load_archive(tmp_path)
    message = str(error.value)
    for words in (
        "@vendure/create@1.9.7",
        "Install npm",
        "npm_config_registry",
        "npm pack",
        str(tmp_path / "packages"),
    ):
        assert words in message
    assert "\n" not in message
    (tmp_path / "packages" / storefront.ARCHIVE).write_bytes(CONTENT)
    with pytest.raises(UserError, match=f"has SHA-256 {hashlib.sha256(CONTENT).hexdigest()}, expected 730e9499"):
        storefront.load_archive(tmp_path)
