"""The files of one run of a stage, among those of an earlier one."""

from upath import UPath

from components.contract.files.digests import digest_package
from components.workflow.caching.manifests import Manifest
from components.workflow.stage_outputs import Outputs


def test_files_of_an_earlier_run_are_in_no_package_digest(tmp_path):
    """A pool has other ads every time; with an earlier run's among them a decision was about files that nobody had."""
    folder = UPath(tmp_path)
    for ads in (("a", "b"), ("b", "c")):
        out = Outputs(folder)
        out.text("policy/policy.json", "{}")
        for name in ads:
            out.text(f"policy/pool/ads/{name}.png", name)
        out.text("other.json", "{}")
        digest = out.package_digest("policy")
        out.finish(Manifest(stage="promotion", settings="", code="", inputs={}, outputs={}))
        assert digest == digest_package(folder / "policy")
    assert not (folder / "policy" / "pool" / "ads" / "a.png").exists()
