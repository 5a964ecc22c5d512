"""Digests: what a stage read and wrote, and whether it must run again."""

import pytest
from upath import UPath

from components.contract.files.digests import digest_file, digest_tree
from components.workflow.caching.manifests import Manifest, digest_code, read_manifest
from components.workflow.stage_outputs import Outputs

DUE = Manifest(stage="features", settings="s", code="c", inputs={"validation": "v"}, outputs={})


def test_digests_are_those_of_sha256sum(tmp_path):
    file = UPath(tmp_path / "abc")
    file.write_bytes(b"abc")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, appendix B.1
    assert digest_file(file) == known
    assert digest_tree(UPath(tmp_path)) == {"abc": known}


def test_a_tree_leaves_out_manifests_and_hidden_files(tmp_path):
    for name in ("a/b", "manifest.json", ".hidden", ".dir/c"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert list(digest_tree(UPath(tmp_path))) == ["a/b"]


def test_the_manifest_lists_what_was_written_and_drops_the_rest(tmp_path):
    folder = UPath(tmp_path)
    (folder / "old").mkdir()
    (folder / "old" / "stale.json").write_text("{}")
    out = Outputs(folder)
    out.json("report.json", {"rows": 1})
    out.files("model", {"weights.bin": b"\0"})
    out.finish(DUE)
    manifest = read_manifest(folder)
    assert manifest.same_work(DUE)
    assert dict(manifest.outputs) == digest_tree(folder)
    assert set(manifest.outputs) == {"report.json", "model/weights.bin"}
    assert not (folder / "old").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"stage": "x"}', '{"unknown": 1}'])
def test_what_is_no_manifest_counts_as_none(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    assert read_manifest(UPath(tmp_path)) is None


def test_the_code_of_packages_and_of_modules_is_digested_by_content(tmp_path):
    for name in ("features/a.py", "features/deep/b.py", "features/data.csv", "other/c.py", "other/d.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1\n")
    before = digest_code(("features", "other/c"), tmp_path)
    for elsewhere in ("features/data.csv", "other/d.py"):
        (tmp_path / elsewhere).write_text("2\n")
        assert digest_code(("features", "other/c"), tmp_path) == before
    for covered in ("features/a.py", "features/deep/b.py", "other/c.py"):
        (tmp_path / covered).write_text("2\n")
        assert digest_code(("features", "other/c"), tmp_path) != before
        (tmp_path / covered).write_text("1\n")


def test_code_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        digest_code(("features",), tmp_path)


def test_the_old_manifest_goes_before_the_first_file_and_not_sooner(tmp_path):
    folder = UPath(tmp_path)
    first = Outputs(folder)
    first.json("report.json", {"rows": 1})
    first.finish(DUE)
    second = Outputs(folder)
    assert read_manifest(folder) is not None, "a run that fails before its first file leaves all as it was"
    second.claim("report.json")
    assert read_manifest(folder) is None
    second.json("report.json", {"rows": 2})
    second.finish(DUE)
    assert read_manifest(folder).same_work(DUE)
