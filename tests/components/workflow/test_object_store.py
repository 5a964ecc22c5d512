"""The store: files arrive as they were sent, by a folder, S3 or memory, or not at all and with a reason."""

import subprocess

import pytest
from upath import UPath

from components.contract.files.digests import digest_file, digest_tree
from components.settings.errors import UserError
from components.workflow.remote.object_store import open_object_store, receive, send

FILES = {"validation/shoppers.parquet": b"rows" * 50, "validation/manifest.json": b"{}", "docs/page.md": b""}


@pytest.fixture(params=["folder", "s3", "memory"])
def store(request, tmp_path) -> UPath:
    if request.param == "s3":
        return open_object_store(request.getfixturevalue("s3"))
    return open_object_store(f"memory://{tmp_path.name}" if request.param == "memory" else str(tmp_path / "store"))


@pytest.fixture
def sent(tmp_path) -> UPath:
    folder = UPath(tmp_path / "here")
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def objects(store: UPath) -> dict[str, UPath]:
    return {path.name: path for path in (store / "objects").iterdir()}


def test_files_arrive_as_they_were_sent(sent, store, tmp_path):
    target = UPath(tmp_path / "there")
    parcel = send(sent, FILES, store)
    assert set(receive(parcel, store, target)) == set(FILES)
    assert digest_tree(target, skip=()) == digest_tree(sent, skip=())


def test_what_is_there_already_is_neither_sent_nor_fetched_again(sent, tmp_path):
    store, target = open_object_store(str(tmp_path / "store")), UPath(tmp_path / "there")
    parcel = send(sent, FILES, store)
    receive(parcel, store, target)
    before = {path: path.stat().st_mtime_ns for folder in (store, target) for path in folder.rglob("*.parquet")}
    assert send(sent, FILES, store) == parcel
    receive(parcel, store, target)
    assert before == {path: path.stat().st_mtime_ns for path in before}


@pytest.mark.parametrize("spoil", [lambda content: content[:-1], lambda content: b"R" + content[1:], lambda _: b""])
def test_a_truncated_or_tampered_object_is_refused_by_name(sent, store, tmp_path, spoil):
    parcel = send(sent, FILES, store)
    digest = digest_tree(sent, skip=())["validation/shoppers.parquet"]
    place = objects(store)[digest]
    place.write_bytes(spoil(FILES["validation/shoppers.parquet"]))
    with pytest.raises(UserError, match=r"validation/shoppers\.parquet was altered or truncated"):
        receive(parcel, store, UPath(tmp_path / "there"))
    assert not (tmp_path / "there" / "validation" / "shoppers.parquet").exists()


def test_a_list_that_was_exchanged_is_refused(sent, store, tmp_path):
    whole, part = send(sent, FILES, store), send(sent, ["docs/page.md"], store)
    objects(store)[whole].write_bytes(objects(store)[part].read_bytes())
    with pytest.raises(UserError, match="the list of files was altered"):
        receive(whole, store, UPath(tmp_path / "there"))


def test_a_truncated_object_is_sent_again(sent, tmp_path):
    store = open_object_store(str(tmp_path / "store"))
    parcel = send(sent, FILES, store)
    place = objects(store)[digest_tree(sent, skip=())["validation/shoppers.parquet"]]
    place.write_bytes(b"rows")
    assert send(sent, FILES, store) == parcel
    assert receive(parcel, store, UPath(tmp_path / "there"))


def test_an_empty_store_says_so(tmp_path):
    with pytest.raises(UserError, match=r"the list of files is not there .* was the store emptied"):
        receive("0" * 64, open_object_store(str(tmp_path / "store")), UPath(tmp_path / "there"))


def test_a_parcel_cannot_write_outside_its_folder(sent, tmp_path):
    store = open_object_store(str(tmp_path / "store"))
    parcel = send(sent / "docs", ["../docs/page.md"], store)
    with pytest.raises(UserError, match="a name outside its folder"):
        receive(parcel, store, UPath(tmp_path / "there"))


@pytest.fixture
def disk(tmp_path):
    """A function that mounts a real disk of 64 KiB with the given option at the folder it returns."""
    mounted = []

    def mount(option: str):
        folder = tmp_path / "disk"
        folder.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", option, "tmpfs", str(folder)], capture_output=True)
        if done.returncode:
            pytest.skip("only root can mount the small disk that this test fills")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_store_says_so_and_keeps_no_half_file(sent, disk):
    store = open_object_store(str(disk("size=64k") / "store"))
    (sent / "docs" / "page.md").write_bytes(b"x" * 200_000)
    with pytest.raises(UserError, match="cannot be written: No space left on device; nothing was handed over"):
        send(sent, FILES, store)
    assert {name: digest_file(path) for name, path in objects(store).items()} == {name: name for name in objects(store)}


def test_a_read_only_store_says_so(sent, disk):
    with pytest.raises(UserError, match="cannot be written: Read-only file system; nothing was handed over"):
        send(sent, FILES, open_object_store(str(disk("ro,size=64k") / "store")))


def test_an_s3_that_is_gone_says_so(sent, s3, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    type(open_object_store(s3).fs).clear_instance_cache()
    with pytest.raises(UserError, match=r"s3://.*/store cannot be written: .*127\.0\.0\.1:9"):
        send(sent, FILES, open_object_store(s3))


@pytest.mark.parametrize(
    ("url", "reason"), [("s3://key:secret@bucket/x", "credentials belong in the environment"), ("nope://x", "nope")]
)
def test_a_url_that_cannot_be_a_store_is_refused_without_repeating_secrets(url, reason):
    with pytest.raises(UserError, match=reason) as caught:
        open_object_store(url)
    assert "secret" not in str(caught.value)
