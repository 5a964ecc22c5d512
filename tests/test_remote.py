"""Data that a team shares through a DVC remote arrive on another clone byte for byte, or not at all."""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from upath import UPath

from components.contract.files.digests import digest_tree
from components.datasets.dataset_files import write_dataset
from tests.components.contract import samples

KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}


def dvc(clone: Path, *arguments: str, fails: bool = False) -> str:
    done = subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=clone, capture_output=True, text=True)
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stdout + done.stderr


def git(clone: Path, *arguments: str) -> None:
    who = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}
    subprocess.run(["git", *arguments], cwd=clone, env={**os.environ, **who}, check=True, capture_output=True)


@pytest.fixture
def project(tmp_path) -> Path:
    """A clone with a data set under data.dvc, as `adloom data add` leaves it."""
    first = tmp_path / "first"
    first.mkdir()
    git(first, "init", "--quiet")
    dvc(first, "init", "--quiet")
    write_dataset(samples.sample(impressions=60), samples.card(), UPath(first / "data" / "sample"))
    dvc(first, "add", "--quiet", "data")
    return first


def share(project: Path, address: str, *settings: str) -> None:
    """What docs/your-data.md says, and the commit that tells the others."""
    dvc(project, "remote", "add", "--default", "team", address)
    for setting in ("verify true", *settings):
        dvc(project, "remote", "modify", "team", *setting.split())
    dvc(project, "push", "--quiet")
    git(project, "add", "data.dvc", ".dvc", ".gitignore")
    git(project, "commit", "--quiet", "-m", "data")


def clone_of(project: Path) -> Path:
    second = project.parent / "second"
    git(project.parent, "clone", "--quiet", str(project), str(second))
    return second


def test_a_second_clone_pulls_the_same_bytes_from_a_folder(project, tmp_path):
    share(project, str(tmp_path / "remote"))
    second = clone_of(project)
    assert not (second / "data").exists()
    dvc(second, "pull", "--quiet")
    assert digest_tree(UPath(second / "data")) == digest_tree(UPath(project / "data"))


def test_an_object_that_was_tampered_with_does_not_arrive(project, tmp_path):
    share(project, str(tmp_path / "remote"))
    target = max((tmp_path / "remote").rglob("*"), key=lambda path: path.stat().st_size if path.is_file() else 0)
    target.chmod(0o644)
    content = bytearray(target.read_bytes())
    content[len(content) // 2] ^= 1
    target.write_bytes(bytes(content))
    second = clone_of(project)
    dvc(second, "pull", fails=True)
    arrived = (
        {path.read_bytes() for path in (second / "data").rglob("*.parquet")} if (second / "data").exists() else set()
    )
    assert bytes(content) not in arrived


@pytest.fixture
def bucket(monkeypatch):
    """An S3 server on loopback with an empty bucket; its address."""
    if shutil.which("moto_server", path=Path(sys.executable).parent) is None:
        pytest.skip("moto's server is not installed (the extra dev)")
    for name, value in {**KEYS, "NO_PROXY": "127.0.0.1"}.items():
        monkeypatch.setenv(name, value)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen(
        [Path(sys.executable).parent / "moto_server", "-H", "127.0.0.1", "-p", str(port)], **quiet
    )
    try:
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        import boto3

        boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}").create_bucket(Bucket="team")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(20)


@pytest.mark.slow
def test_a_second_clone_pulls_the_same_bytes_from_s3(project, bucket):
    pytest.importorskip("dvc_s3", reason="the extra s3 is not installed")
    share(project, "s3://team/adloom", f"endpointurl {bucket}")
    assert KEYS["AWS_SECRET_ACCESS_KEY"] not in (project / ".dvc" / "config").read_text()
    second = clone_of(project)
    dvc(second, "pull", "--quiet")
    assert digest_tree(UPath(second / "data")) == digest_tree(UPath(project / "data"))
