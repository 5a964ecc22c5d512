"""Fifty kinds of tampering with packages, signatures, tags, decisions, the ledger and local copies, each tried alone.

Each kind uses a new data set (promotion_scene.py): version 1 was champion, version 2 is the champion or the challenger.
One thing is altered, then a user's next command runs. It must raise a UserError; no file of a package may be
deserialised and the champion must not change.
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

from benchmarks.promotion_scene import (
    IS_CHAMPION,
    REFUSED,
    WAITS,
    Scene,
    evaluate,
    export,
    force,
    make_scene,
    promote,
    roll_back,
    run,
)
from benchmarks.promotion_shop import environment, judge
from components.contract.files.digests import digest_package
from components.registry.decision_records import log_decision, tags_of
from components.registry.mlflow_store import Version
from components.registry.promotion import CHALLENGER, CHAMPION, QUESTION, apply
from components.registry.signing import sign
from components.settings.errors import UserError

LOADERS = (  # functions that deserialise a package's bytes
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
class Kind:
    """`tamper` alters one thing, `command` is what a user runs next.

    second_state: of version 2; fetched: whether the champion's local copy exists before.
    """

    name: str
    tamper: Callable[[Scene], object]
    command: Callable[[Scene], None] = run
    second_state: str = IS_CHAMPION
    fetched: bool = False


def _flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def _swap(one: Path, other: Path) -> None:
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)


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
    """Replace parts of the second version by those of `source` (default: the first version)."""
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


def _matching_digest(scene: Scene) -> None:
    """Alter the policy and set the tag to its new digest."""
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
    """Alter files and replace the signed list of digests by one that matches them."""
    _matching_digest(scene)
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
    """Replace the second version's decisions by the first version's passed decision."""
    for decision in scene.decisions():
        _remove(decision)
    passed = scene.decisions(scene.first)[-1]
    _move_decision(passed, scene.run_folder() / "decisions" / passed.name)


def _judge_again(scene: Scene, passes: bool) -> None:
    """Record another decision about the second version, on a longer log."""
    champion = scene.first.tags["package_digest"]
    apply(
        scene.client, scene.name, scene.second, judge(scene.client, scene.second, champion, passes, "longer "), "manual"
    )


def _renumber(scene: Scene) -> None:
    """The version passed, then was refused; enter the passed decision again as the last one."""
    _judge_again(scene, passes=False)
    passed = scene.decisions()[0]
    _move_decision(passed, passed.with_name(passed.name.replace("0001", "0003")))
    scene.tag("decision", "promote")


def _remove_refusal(scene: Scene) -> None:
    """The version passed, then was refused; remove the refusal, which the tags still record."""
    _judge_again(scene, passes=False)
    _remove(scene.decisions()[-1])


def _forge(scene: Scene, ours: bool) -> None:
    """Enter a complete passed decision and matching tags, signed with our key or with another one."""
    champion = scene.first.tags["package_digest"]
    refused = judge(scene.client, scene.second, champion, passes=False)
    forged = replace(refused, action="promote", forms=tuple(replace(form, verdict="passed") for form in refused.forms))
    with nullcontext() if ours else _another_key():
        log_decision(scene.client, scene.second, forged)
    for key, value in tags_of(forged).items():
        scene.tag(key, value)


def _strip_ledger(scene: Scene, last: bool) -> None:
    """Remove the last question, or all before it, so that it has the largest share of the error probability."""
    tags = scene.client.search_registered_models(f"name = '{scene.name}'")[0].tags
    keys = sorted(key for key in tags if key.startswith(QUESTION))
    for key in keys[-1:] if last else keys[:-1]:
        scene.client.delete_registered_model_tag(scene.name, key)


def _foreign(scene: Scene, alias: str) -> None:
    """Move an alias to a version that Adloom did not register, as MLflow's pages allow."""
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
    Kind("other files and their digest", _matching_digest),
    Kind("other files, to be exported", lambda s: _flip(s.package() / "decisions.parquet"), command=export),
    Kind("other files, to be promoted", lambda s: _flip(s.package() / "decisions.parquet"), promote, WAITS),
    Kind("other files, to be promoted by force", _matching_digest, force, REFUSED),
    Kind("other files, to come back", lambda s: _flip(s.package(s.first) / "policy.json"), roll_back),
    # signatures
    Kind("no signature", lambda s: s.signature().unlink()),
    Kind("an empty signature", lambda s: s.signature().write_text("")),
    Kind("an invalid signature", lambda s: s.signature().write_text('{"dsseEnvelope": {}}')),
    Kind("another version's signature", lambda s: _other_version(s, "signature")),
    Kind("the signature of a decision", lambda s: shutil.copy(_signature_of(s.decisions()[-1]), s.signature())),
    Kind("another key's signature", _sign_with_another_key),
    Kind("another key's signature under our key's name", _claim_our_key),
    Kind("a signed list made to fit other files", _edit_payload),
    Kind("a bit of the signature", _flip_signature),
    Kind("other files, digest and key", lambda s: (_matching_digest(s), _sign_with_another_key(s))),
    # tags and aliases
    Kind("no digest", lambda s: s.client.delete_model_version_tag(s.name, "2", "package_digest")),
    Kind("another digest", lambda s: s.tag("package_digest", "0" * 64)),
    Kind("another form that acts", lambda s: s.tag("acts", "per_shopper")),
    Kind("more forms", lambda s: s.tag("forms", "table,per_shopper"), command=export),
    Kind("a refusal called a pass", lambda s: s.tag("decision", "promote"), promote, REFUSED),
    Kind("another champion to be judged against", lambda s: s.tag("against", "none"), promote, WAITS),
    Kind("a champion that Adloom did not register", lambda s: _foreign(s, CHAMPION)),
    Kind("a challenger that Adloom did not register", lambda s: _foreign(s, CHALLENGER), promote, WAITS),
    # decisions and the ledger
    Kind("a word of a decision", lambda s: _edit_decision(s, '"refuse"', '"promote"'), promote, REFUSED),
    Kind("a number of its evidence", lambda s: _edit_decision(s, "20000", "20001"), promote, WAITS),
    Kind("another version's decision", _borrow_decision, promote, REFUSED),
    Kind("an earlier decision as the last", _renumber, promote, WAITS),
    Kind("the last decision gone", _remove_refusal, promote, WAITS),
    Kind("a forged decision, another key's", lambda s: _forge(s, ours=False), promote, REFUSED),
    Kind("a forged decision, our key's", lambda s: _forge(s, ours=True), promote, REFUSED),
    Kind("a question out of the ledger", lambda s: _strip_ledger(s, last=True), promote, WAITS),
    # local copies
    Kind("the snapshot's files", lambda s: _flip(_local(s) / "decisions.parquet"), evaluate, fetched=True),
)


@dataclass(frozen=True)
class Attempt:
    """The outcome of one kind. message: the refusal, None without one; loaded: the LOADERS that were called."""

    kind: str
    message: str | None
    loaded: tuple[str, ...]
    same_champion: bool

    @property
    def refused(self) -> bool:
        """Whether the command was refused with a message, deserialised nothing and left the champion unchanged."""
        return self.message is not None and not self.loaded and self.same_champion


def try_kind(kind: Kind, number: int, folder: Path) -> Attempt:
    """Create the data set, tamper with it, run the command, and report the outcome."""
    scene = make_scene(f"shop{number:02d}", folder / f"{number:02d}", kind.second_state, kind.fetched)
    kind.tamper(scene)
    before, loaded, message = scene.champion(), [], None
    with _recorded_loads(loaded):
        try:
            kind.command(scene)
        except UserError as error:
            message = str(error)
    return Attempt(kind.name, message, tuple(loaded), scene.champion() == before)


@contextmanager
def _recorded_loads(loaded: list[str]) -> Iterator[None]:
    """Replace every function of LOADERS by one that appends its name to `loaded`."""
    with ExitStack() as stack:
        for name in LOADERS:
            stack.enter_context(patch(name, side_effect=lambda *_, name=name, **__: loaded.append(name)))
        yield
