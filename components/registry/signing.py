"""Signatures of packages and decisions, by Sigstore's model-signing with an elliptic-curve key, without a network.

A signature covers every file of a folder, hidden ones too, and the name of the model: an altered, added or missing file
is refused, and so is a package of another model. The private key is the file that ADLOOM_SIGNING_KEY names, or else
`signing.key` in the state folder, which is created if missing. ADLOOM_VERIFY_KEY names the trusted public keys,
separated by `:`; without it, only signatures of the private key are trusted.
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
    """Write to the file `signature` a signature of all files in `folder` as the files of `name`."""
    from model_signing import signing

    config = signing.Config().use_elliptic_key_signer(private_key=_private_key())
    with tempfile.TemporaryDirectory(prefix="adloom-sign-") as scratch:
        named = Path(scratch) / name  # model-signing takes the name from the folder
        named.mkdir()
        for file in sorted(Path(folder).rglob("*")):
            if file.is_file():
                _place(file, named / file.relative_to(folder))
        config.set_hashing_config(_every_file()).sign(named, signature)


def verify(folder: Path, name: str, signature: Path, label: str) -> None:
    """UserError, which begins with `label`, unless `signature` is of exactly these files as the files of `name`."""
    if not Path(signature).is_file():
        raise UserError(
            f"{label}: it has no signature, so it was registered before packages were signed, or the signature was "
            "removed; nothing was loaded. `adloom sign DATASET` signs it, if you know where it comes from"
        )
    reasons = []
    with _public_keys() as keys:
        for key in keys:
            try:
                _verify(folder, name, signature, key)
                return
            except Exception as error:  # model-signing and its parsers raise errors of many types
                reasons.append(_in_words(error))
    raise UserError(f"{label}: its signature does not hold: {_reason(reasons)}; nothing was loaded")


def signature_path(folder: Path) -> Path:
    """The signature file of a fetched package: NAME.sig beside the folder NAME."""
    return folder.with_name(f"{folder.name}.sig")


def _verify(folder: Path, name: str, signature: Path, key: Path) -> None:
    from model_signing import verifying

    config = verifying.Config().use_elliptic_key_verifier(public_key=key).set_hashing_config(_every_file())
    config.verify(Path(folder), signature)
    envelope = json.loads(Path(signature).read_text(encoding="utf-8"))["dsseEnvelope"]  # verified above
    signed = json.loads(base64.b64decode(envelope["payload"]))["subject"][0]["name"]
    if signed != name:
        raise ValueError(f"it is the signature of {signed}, not of {name}")


def _in_words(error: Exception) -> str:
    """The error in words; model-signing formats differences as Python values."""
    text = str(error)
    differences = [
        *(f"{name} was altered" for name in re.findall(r"Hash mismatch for \\*'(.+?)\\*':", text)),
        *(f"added: {names}" for names in re.findall(r"Extra files found in model '.*?': (.+?)[\"']", text)),
        *(f"missing: {names}" for names in re.findall(r"Missing files in model '.*?': (.+?)[\"']", text)),
    ]
    if text.startswith("Signature mismatch") and differences:
        return "; ".join(differences)
    if "symlink" in text:
        return "it contains a symbolic link"
    if text.startswith(("Key mismatch", "it is the signature")):
        return text
    return f"the signature cannot be read or was altered ({text or type(error).__name__})"


def _reason(reasons: list[str]) -> str:
    """The error for the key that made the signature; if no trusted key made it, that."""
    of_key = [reason for reason in reasons if not reason.startswith("Key mismatch")]
    return of_key[0] if of_key else f"it was made with a key that is not trusted here; {VERIFY_KEY} names trusted keys"


def _every_file():
    """Hashing of all files; by default model-signing skips `.git` and similar files."""
    from model_signing import hashing

    return hashing.Config().set_ignored_paths(paths=(), ignore_git_paths=False)


def _place(file: Path, target: Path) -> None:
    """Make `target` a hard link to `file`, or a copy if the file system has no hard links."""
    import shutil

    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(file, target)
    except OSError:
        shutil.copyfile(file, target)


def _private_key() -> Path:
    """The file of the private key; a new one in the state folder if there is none."""
    name = os.environ.get(SIGNING_KEY)
    if name:
        return _existing_file(SIGNING_KEY, name)
    folder = Path(os.environ.get("ADLOOM_STATE", ".adloom"))
    if not (folder / KEY).exists():
        _make_key(folder)
    if not (folder / PUBLIC_KEY).exists():
        (folder / PUBLIC_KEY).write_bytes(_public_half(folder / KEY))  # for other machines
    return folder / KEY


def _make_key(folder: Path) -> None:
    """Create a new key atomically; if two processes create one, the first one stays."""
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
    """The files of the trusted public keys."""
    names = os.environ.get(VERIFY_KEY)
    if names:
        yield [_existing_file(VERIFY_KEY, name) for name in names.split(os.pathsep) if name]
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


def _existing_file(variable: str, name: str) -> Path:
    if not Path(name).is_file():
        raise UserError(f"{variable}: {name}: there is no such file")
    return Path(name)
