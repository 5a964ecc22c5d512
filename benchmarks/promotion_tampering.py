"""Fifty kinds of tampering with packages, signatures, tags, decisions, the ledger and local copies, each tried alone.

Each kind has a data set of its own: version 1 was champion, version 2 is the champion or the challenger. One thing is
altered; then what a user would do next is done. It has to end in a UserError, with no file of a package deserialised
and the champion where it was.
"""

import base64
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

from benchmarks.promotion_shop import enter, environment, judge
from components.contract.files.digests import digest_package
from components.registry.decision_records import log_decision, tags_of
from components.registry.mlflow_store import Version, open_store, version_of
from components.registry.promotion import CHALLENGER, CHAMPION, QUESTION, apply, promote, rollback
from components.registry.signing import sign
from components.settings.errors import UserError
from components.settings.paths import Paths
from components.settings.sections import Settings
from components.workflow.publishing.deployed_policy import read_champion
from components.workflow.publishing.export import renew_export
from components.workflow.publishing.publication import snapshot

LOADERS = (  # whatever makes objects of a package's bytes
    "components.policies.policy_package.PolicyPackage.from_files",
    "components.interest.CalibratedModel.from_files",
    "components.features.FeatureModel.from_files",
    "pyarrow.parquet.read_table",
    "pandas.read_parquet",
    "numpy.load",
    "skops.io.loads",
    "skops.io.load",
    "pickle.load",
)


@dataclass(frozen=True)
class Scene:
    """A data set's registry and artifacts. first, second: its versions; other: a version of another data set."""

    client: object
    paths: Paths
    first: Version
    second: Version
    other: Version

    @property
    def name(self) -> str:
        """The registered policy."""
        return self.second.name

    def run_folder(self, version: Version | None = None) -> Path:
        """Where MLflow keeps the artifacts of the version (the second's)."""
        uri = self.client.get_run((version or self.second).run_id).info.artifact_uri
        return Path(uri.removeprefix("file://"))

    def package(self, version: Version | None = None) -> Path:
        """The registered files of the version (the second's)."""
        return self.run_folder(version) / "package"

    def signature(self, version: Version | None = None) -> Path:
        """The signature of those files."""
        return self.run_folder(version) / "package.sig"

    def decisions(self, version: Version | None = None) -> list[Path]:
        """Folders of the kept decisions, the last one last."""
        return sorted(path for path in (self.run_folder(version) / "decisions").iterdir() if path.is_dir())

    def tag(self, key: str, value: str, version: Version | None = None) -> None:
        """Set a tag of the version (the second's)."""
        self.client.set_model_version_tag(self.name, str((version or self.second).number), key, value)

    def champion(self) -> int:
        """The number of the version that bears the alias."""
        return int(self.client.get_model_version_by_alias(self.name, CHAMPION).version)


def _run(scene: Scene) -> None:
    """The start of `adloom run`: fetch the champion; then evaluation reads it."""
    snapshot(scene.name.removesuffix("-policy"), Settings(), scene.paths)
    read_champion(scene.paths)


def _evaluate(scene: Scene) -> None:
    read_champion(scene.paths)


def _export(scene: Scene) -> None:
    renew_export(scene.name.removesuffix("-policy"), scene.paths)


def _promote(scene: Scene) -> None:
    promote(scene.client, scene.name, False, None, "ann")


def _force(scene: Scene) -> None:
    promote(scene.client, scene.name, True, "now", "ann")


def _rollback(scene: Scene) -> None:
    rollback(scene.client, scene.name, None, "ann")


# What version 2 is: champion; challenger that waits for a person; challenger that was refused.
CHAMPION_NOW, WAITS, REFUSED = "champion", "waits", "refused"


@dataclass(frozen=True)
class Kind:
    """do: alters one thing. then: what a user does next. second: what version 2 is. fetched: there is a snapshot."""

    name: str
    do: Callable[[Scene], object]
    then: Callable[[Scene], None] = _run
    second: str = CHAMPION_NOW
    fetched: bool = False


def _flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def _swap(one: Path, other: Path) -> None:
    held = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(held)


def _link(file: Path) -> None:
    target = file.parent.parent / "outside"
    shutil.copy(file, target)
    _flip(target)
    file.unlink()
    file.symlink_to(target)


def _replace(folder: Path, by: Path) -> None:
    shutil.rmtree(folder)
    shutil.copytree(by, folder)


def _other_version(scene: Scene, *parts: str, source: Version | None = None) -> None:
    """Put parts of another version (the first; or `source`) in the place of the second's."""
    source = source or scene.first
    if "package" in parts:
        _replace(scene.package(), scene.package(source))
    if "signature" in parts:
        shutil.copy(scene.signature(source), scene.signature())
    if "digest" in parts:
        scene.tag("package_digest", source.tags["package_digest"])


def _write(scene: Scene, name: str, content: str = "") -> None:
    (scene.package() / name).parent.mkdir(parents=True, exist_ok=True)
    (scene.package() / name).write_text(content)


def _evil(scene: Scene) -> None:
    """Another policy with the digest that it has, as a careful attacker enters it."""
    _flip(scene.package() / "decisions.parquet")
    scene.tag("package_digest", digest_package(scene.package()))


@contextmanager
def _another_key() -> Iterator[None]:
    with (
        tempfile.TemporaryDirectory() as state,
        environment(ADLOOM_STATE=state, ADLOOM_SIGNING_KEY="", ADLOOM_VERIFY_KEY=""),
    ):
        yield


def _sign_with_another_key(scene: Scene) -> None:
    with _another_key():
        sign(scene.package(), scene.name, scene.signature())


def _claim_our_key(scene: Scene) -> None:
    ours = json.loads(scene.signature().read_text())["verificationMaterial"]
    _sign_with_another_key(scene)
    bundle = json.loads(scene.signature().read_text())
    scene.signature().write_text(json.dumps({**bundle, "verificationMaterial": ours}))


def _edit_payload(scene: Scene) -> None:
    """The signed list of digests, made to fit altered files."""
    _evil(scene)
    with _another_key(), tempfile.TemporaryDirectory() as scratch:
        sign(scene.package(), scene.name, Path(scratch) / "sig")
        payload = json.loads((Path(scratch) / "sig").read_text())["dsseEnvelope"]["payload"]
    bundle = json.loads(scene.signature().read_text())
    bundle["dsseEnvelope"]["payload"] = payload
    scene.signature().write_text(json.dumps(bundle))


def _flip_signature(scene: Scene) -> None:
    bundle = json.loads(scene.signature().read_text())
    content = bytearray(base64.b64decode(bundle["dsseEnvelope"]["signatures"][0]["sig"]))
    content[-1] ^= 1
    bundle["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(bytes(content)).decode()
    scene.signature().write_text(json.dumps(bundle))


def _edit_decision(scene: Scene, old: str, new: str) -> None:
    file = scene.decisions()[-1] / "decision.json"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def _signature_of(decision: Path) -> Path:
    return decision.with_name(f"{decision.name}.sig")


def _move_decision(source: Path, target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    shutil.copytree(source, target)
    shutil.copy(_signature_of(source), _signature_of(target))


def _remove(decision: Path) -> None:
    shutil.rmtree(decision)
    _signature_of(decision).unlink()


def _borrow_decision(scene: Scene) -> None:
    """The first version's passed decision, in the place of the second's."""
    for decision in scene.decisions():
        _remove(decision)
    passed = scene.decisions(scene.first)[-1]
    _move_decision(passed, scene.run_folder() / "decisions" / passed.name)


def _judge_again(scene: Scene, passes: bool) -> None:
    """Another decision about the second version, on a longer log."""
    champion = scene.first.tags["package_digest"]
    apply(
        scene.client, scene.name, scene.second, judge(scene.client, scene.second, champion, passes, "longer "), "manual"
    )


def _renumber(scene: Scene) -> None:
    """It passed, then was refused; the passed decision is entered as the last one."""
    _judge_again(scene, passes=False)
    passed = scene.decisions()[0]
    _move_decision(passed, passed.with_name(passed.name.replace("0001", "0003")))
    scene.tag("decision", "promote")


def _reveal(scene: Scene) -> None:
    """It passed, then was refused; the refusal is removed, and the tags still tell of it."""
    _judge_again(scene, passes=False)
    _remove(scene.decisions()[-1])


def _forge(scene: Scene, ours: bool) -> None:
    """A whole decision that it passed, with tags that agree: signed by another key, or by ours."""
    champion = scene.first.tags["package_digest"]
    refused = judge(scene.client, scene.second, champion, passes=False)
    forged = replace(refused, action="promote", forms=tuple(replace(form, verdict="passed") for form in refused.forms))
    with nullcontext() if ours else _another_key():
        log_decision(scene.client, scene.second, forged)
    for key, value in tags_of(forged).items():
        scene.tag(key, value)


def _strip_ledger(scene: Scene, last: bool) -> None:
    """The last question is taken out; or all before it, so that it has the largest share of the error probability."""
    tags = scene.client.search_registered_models(f"name = '{scene.name}'")[0].tags
    keys = sorted(key for key in tags if key.startswith(QUESTION))
    for key in keys[-1:] if last else keys[:-1]:
        scene.client.delete_registered_model_tag(scene.name, key)


def _foreign(scene: Scene, alias: str) -> None:
    """An alias is moved in MLflow's pages to a version that Adloom did not register."""
    made = scene.client.create_model_version(scene.name, str(scene.package()), scene.second.run_id)
    scene.client.set_registered_model_alias(scene.name, alias, made.version)


def _local(scene: Scene) -> Path:
    return Path(scene.paths.champion)


KINDS = (
    # a package in the registry
    Kind("a byte of a table", lambda s: _flip(s.package() / "decisions.parquet")),
    Kind("a number in policy.json", lambda s: _write(s, "policy.json", '{"exploration": 1}')),
    Kind("a model's file", lambda s: _write(s, "model/interest/calibration.json", '{"slope": 9}')),
    Kind("a file cut off", lambda s: (s.package() / "segments.parquet").write_bytes(b"")),
    Kind("a file made longer", lambda s: (s.package() / "segments.parquet").open("ab").write(b"x")),
    Kind("a file missing", lambda s: (s.package() / "catalogue.parquet").unlink()),
    Kind("a program added", lambda s: _write(s, "code/sitecustomize.py", "raise SystemExit")),
    Kind("a hidden file added", lambda s: _write(s, ".hidden")),
    Kind("a file of git's added", lambda s: _write(s, ".git/config")),
    Kind("a manifest.json added", lambda s: _write(s, "manifest.json", "{}")),
    Kind("a file renamed", lambda s: (s.package() / "segments.parquet").rename(s.package() / "segment.parquet")),
    Kind("two files swapped", lambda s: _swap(s.package() / "decisions.parquet", s.package() / "segments.parquet")),
    Kind("a file that is a link", lambda s: _link(s.package() / "decisions.parquet")),
    Kind("all files gone", lambda s: shutil.rmtree(s.package())),
    Kind("another version's files", lambda s: _other_version(s, "package")),
    Kind("another version's files and signature", lambda s: _other_version(s, "package", "signature")),
    Kind("another version's all", lambda s: _other_version(s, "package", "signature", "digest")),
    Kind("another data set's all", lambda s: _other_version(s, "package", "signature", "digest", source=s.other)),
    Kind("other files and their digest", _evil),
    Kind("other files, to be exported", lambda s: _flip(s.package() / "decisions.parquet"), then=_export),
    Kind("other files, to be promoted", lambda s: _flip(s.package() / "decisions.parquet"), _promote, WAITS),
    Kind("other files, to be promoted by force", lambda s: _evil(s), _force, REFUSED),
    Kind("other files, to come back", lambda s: _flip(s.package(s.first) / "policy.json"), _rollback),
    # signatures
    Kind("no signature", lambda s: s.signature().unlink()),
    Kind("an empty signature", lambda s: s.signature().write_text("")),
    Kind("a signature that is none", lambda s: s.signature().write_text('{"dsseEnvelope": {}}')),
    Kind("another version's signature", lambda s: _other_version(s, "signature")),
    Kind("the signature of a decision", lambda s: shutil.copy(_signature_of(s.decisions()[-1]), s.signature())),
    Kind("another key's signature", _sign_with_another_key),
    Kind("another key's signature under our key's name", _claim_our_key),
    Kind("a signed list made to fit other files", _edit_payload),
    Kind("a bit of the signature", _flip_signature),
    Kind("other files, digest and key", lambda s: (_evil(s), _sign_with_another_key(s))),
    # tags and aliases
    Kind("no digest", lambda s: s.client.delete_model_version_tag(s.name, "2", "package_digest")),
    Kind("another digest", lambda s: s.tag("package_digest", "0" * 64)),
    Kind("another form that acts", lambda s: s.tag("acts", "per_shopper")),
    Kind("more forms", lambda s: s.tag("forms", "table,per_shopper"), then=_export),
    Kind("a refusal called a pass", lambda s: s.tag("decision", "promote"), _promote, REFUSED),
    Kind("another champion to be judged against", lambda s: s.tag("against", "none"), _promote, WAITS),
    Kind("champion of nobody's", lambda s: _foreign(s, CHAMPION)),
    Kind("challenger of nobody's", lambda s: _foreign(s, CHALLENGER), _promote, WAITS),
    # decisions and the ledger
    Kind("a word of a decision", lambda s: _edit_decision(s, '"refuse"', '"promote"'), _promote, REFUSED),
    Kind("a number of its evidence", lambda s: _edit_decision(s, "20000", "20001"), _promote, WAITS),
    Kind("another version's decision", _borrow_decision, _promote, REFUSED),
    Kind("an earlier decision as the last", _renumber, _promote, WAITS),
    Kind("the last decision gone", _reveal, _promote, WAITS),
    Kind("a forged decision, another key's", lambda s: _forge(s, ours=False), _promote, REFUSED),
    Kind("a forged decision, our key's", lambda s: _forge(s, ours=True), _promote, REFUSED),
    Kind("a question out of the ledger", lambda s: _strip_ledger(s, last=True), _promote, WAITS),
    # local copies
    Kind("the snapshot's files", lambda s: _flip(_local(s) / "decisions.parquet"), _evaluate, fetched=True),
)


@dataclass(frozen=True)
class Tried:
    """What came of one kind. said: the refusal (None: none). stayed: whether the champion is the one that it was."""

    kind: str
    said: str | None
    loaded: tuple[str, ...]
    stayed: bool

    @property
    def refused(self) -> bool:
        """Whether it was refused in words, unread, and moved nothing."""
        return self.said is not None and not self.loaded and self.stayed


def try_kind(kind: Kind, number: int, folder: Path) -> Tried:
    """Set the scene, alter one thing, go on, and see what happens."""
    scene = _scene(kind, f"shop{number:02d}", folder / f"{number:02d}")
    kind.do(scene)
    before, loaded, said = scene.champion(), [], None
    with _watched(loaded):
        try:
            kind.then(scene)
        except UserError as error:
            said = str(error)
    return Tried(kind.name, said, tuple(loaded), scene.champion() == before)


def _scene(kind: Kind, dataset: str, folder: Path) -> Scene:
    client, name = open_store(), f"{dataset}-policy"
    first = enter(client, name, folder / "first", 0.6)
    second = enter(client, name, folder / "second", 0.7)
    other = enter(client, f"{dataset}-other-policy", folder / "other", 0.8)
    apply(client, name, first, judge(client, first, None, passes=True))
    decision = judge(client, second, first.tags["package_digest"], passes=kind.second != REFUSED)
    apply(client, name, second, decision, "manual" if kind.second == WAITS else "auto")
    paths = Paths.of(dataset, workdir=str(folder / "artifacts"))
    (Path(paths.stage("promotion")) / "policy").mkdir(parents=True)  # runs of this data set are made here
    if kind.fetched:
        snapshot(dataset, Settings(), paths)
    return Scene(
        client, paths, first, version_of(client, name, CHAMPION if kind.second == CHAMPION_NOW else CHALLENGER), other
    )


@contextmanager
def _watched(loaded: list[str]) -> Iterator[None]:
    """Every loader of a package's bytes writes its name into `loaded` when it is called."""
    with ExitStack() as stack:
        for name in LOADERS:
            stack.enter_context(patch(name, side_effect=lambda *_, name=name, **__: loaded.append(name)))
        yield
