"""Signatures of packages and decisions, by Sigstore's model-signing with an elliptic-curve key; no network.

A signature covers every file of a folder, hidden ones too, and the name of the model that they are: an altered, added
or missing file is refused, and so is a package of another model. The private key is `signing.key` in the state folder,
made where there is none, or the file that ADLOOM_SIGNING_KEY names. ADLOOM_VERIFY_KEY names the public keys that are
trusted, several with `:` between them; without it, only what the private key signed is.
"""

import base64
import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from components.settings.errors import UserError

KEY, PUBLIC_KEY = "signing.key", "signing.pub"
SIGNING_KEY, VERIFY_KEY = "ADLOOM_SIGNING_KEY", "ADLOOM_VERIFY_KEY"


def sign(folder: Path, name: str, signature: Path) -> None:
    """Write to the file `signature` a signature of all files in `folder` as those of `name`."""
    from model_signing import signing

    config = signing.Config().use_elliptic_key_signer(private_key=_private_key())
    with tempfile.TemporaryDirectory(prefix="adloom-sign-") as scratch:
        named = Path(scratch) / name  # model-signing takes the name from the folder
        named.mkdir()
        for file in sorted(Path(folder).rglob("*")):
            if file.is_file():
                _place(file, named / file.relative_to(folder))
        config.set_hashing_config(_every_file()).sign(named, signature)


def verify(folder: Path, name: str, signature: Path, what: str) -> None:
    """UserError, which begins with `what`, unless `signature` is of these very files as those of `name`."""
    if not Path(signature).is_file():
        raise UserError(
            f"{what}: it has no signature, so it was registered before packages were signed, or the signature was "
            "removed; nothing was loaded. `adloom sign DATASET` signs it, if you know where it comes from"
        )
    reasons = []
    with _public_keys() as keys:
        for key in keys:
            try:
                _verify(folder, name, signature, key)
                return
            except Exception as error:  # model-signing and its parsers raise whatever they stumble over
                reasons.append(_plain(error))
    raise UserError(f"{what}: its signature does not hold: {_reason(reasons)}; nothing was loaded")


def beside(folder: Path) -> Path:
    """Where the signature of a fetched package lies: NAME.sig beside the folder NAME."""
    return folder.with_name(f"{folder.name}.sig")


def _verify(folder: Path, name: str, signature: Path, key: Path) -> None:
    from model_signing import verifying

    config = verifying.Config().use_elliptic_key_verifier(public_key=key).set_hashing_config(_every_file())
    config.verify(Path(folder), signature)
    envelope = json.loads(Path(signature).read_text(encoding="utf-8"))["dsseEnvelope"]  # which is verified now
    signed = json.loads(base64.b64decode(envelope["payload"]))["subject"][0]["name"]
    if signed != name:
        raise ValueError(f"it is the signature of {signed}, not of {name}")


def _plain(error: Exception) -> str:
    """What is wrong, in words: model-signing tells of differences as Python values."""
    text = str(error)
    differences = [
        *(f"{name} was altered" for name in re.findall(r"Hash mismatch for \\*'(.+?)\\*':", text)),
        *(f"added: {names}" for names in re.findall(r"Extra files found in model '.*?': (.+?)[\"']", text)),
        *(f"missing: {names}" for names in re.findall(r"Missing files in model '.*?': (.+?)[\"']", text)),
    ]
    if text.startswith("Signature mismatch") and differences:
        return "; ".join(differences)
    if "symlink" in text:
        return "it holds a symbolic link"
    if text.startswith(("Key mismatch", "it is the signature")):
        return text
    return f"the signature cannot be read or was altered ({text or type(error).__name__})"


def _reason(reasons: list[str]) -> str:
    """The reason of the key that made the signature; that no trusted key did, where none is it."""
    known = [reason for reason in reasons if not reason.startswith("Key mismatch")]
    return known[0] if known else f"it was made with a key that is not trusted here; {VERIFY_KEY} names those that are"


def _every_file():
    """Hashing of all files; model-signing by itself leaves `.git` and its like out."""
    from model_signing import hashing

    return hashing.Config().set_ignored_paths(paths=(), ignore_git_paths=False)


def _place(file: Path, target: Path) -> None:
    """A hard link to `file`, or a copy where the file system has none."""
    import shutil

    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(file, target)
    except OSError:
        shutil.copyfile(file, target)


def _private_key() -> Path:
    """The file of the private key; a new one in the state folder where there is none."""
    named = os.environ.get(SIGNING_KEY)
    if named:
        return _there(SIGNING_KEY, named)
    folder = Path(os.environ.get("ADLOOM_STATE", ".adloom"))
    if not (folder / KEY).exists():
        _make_key(folder)
    if not (folder / PUBLIC_KEY).exists():
        (folder / PUBLIC_KEY).write_bytes(_public_half(folder / KEY))  # for other machines to trust
    return folder / KEY


def _make_key(folder: Path) -> None:
    """A new key, whole or not at all; of two makers, one's stays."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    private = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".key-") as file:  # readable by its owner alone
        file.write(private)
        file.flush()
        os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(file.name, folder / KEY)


@contextmanager
def _public_keys() -> Iterator[list[Path]]:
    """Files of the public keys that are trusted."""
    named = os.environ.get(VERIFY_KEY)
    if named:
        yield [_there(VERIFY_KEY, name) for name in named.split(os.pathsep) if name]
        return
    with tempfile.TemporaryDirectory(prefix="adloom-verify-") as scratch:
        key = Path(scratch) / PUBLIC_KEY
        key.write_bytes(_public_half(_private_key()))
        yield [key]


def _public_half(private: Path) -> bytes:
    from cryptography.hazmat.primitives import serialization

    try:
        key = serialization.load_pem_private_key(private.read_bytes(), None)
    except (ValueError, TypeError) as error:
        raise UserError(f"{private}: not a private key in PEM without a password: {error}") from None
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _there(variable: str, name: str) -> Path:
    if not Path(name).is_file():
        raise UserError(f"{variable}: {name}: there is no such file")
    return Path(name)
