"""Addresses of the impression pixel and of the click redirect, signed so that nobody can forge or change one.

    /pixel/DECISION.gif?until=T&signature=S            /click/DECISION?to=ADDRESS&until=T&signature=S

S is an HMAC (SHA-256) of purpose, decision, target and end: a redirect leads only where an answer of this service said
that it leads. The key is ADLOOM_SERVING_SECRET, or else a file in the service's folder, which is created if missing.
"""

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

SECRET = "ADLOOM_SERVING_SECRET"  # environment variable
FILE = "addresses.key"
PIXEL, CLICK = "pixel", "click"
VALID_SECONDS = 7 * 86_400  # after which an address counts nothing


@dataclass(frozen=True)
class SignedAddresses:
    """key: of the signatures. base: address under which browsers reach the service; empty: addresses are paths."""

    key: bytes
    base: str = ""

    @classmethod
    def of(cls, folder: Path, base: str) -> "SignedAddresses":
        """With the key of the environment or of the folder."""
        secret = os.environ.get(SECRET, "")
        return cls(secret.encode() if secret else _key_in(folder), base.rstrip("/"))

    def pixel(self, decision_id: str, now: int) -> str:
        """The address of the pixel that says that the ad was shown; now: seconds since 1970."""
        until = now + VALID_SECONDS
        query = {"until": until, "signature": self._signature(PIXEL, decision_id, "", until)}
        return f"{self.base}/pixel/{decision_id}.gif?{urlencode(query)}"

    def click(self, decision_id: str, target: str, now: int) -> str:
        """The address that counts a click and leads to `target`."""
        until = now + VALID_SECONDS
        query = {"to": target, "until": until, "signature": self._signature(CLICK, decision_id, target, until)}
        return f"{self.base}/click/{decision_id}?{urlencode(query)}"

    def is_valid(self, purpose: str, decision_id: str, target: str, until: int, signature: str) -> bool:
        """Whether this service signed an address with these parts."""
        expected = self._signature(purpose, decision_id, target, until)
        return hmac.compare_digest(expected.encode(), signature.encode())  # as texts, only ASCII can be compared

    def _signature(self, purpose: str, decision_id: str, target: str, until: int) -> str:
        message = "\n".join((purpose, decision_id, str(until), target)).encode()
        return hmac.new(self.key, message, hashlib.sha256).hexdigest()


def _key_in(folder: Path) -> bytes:
    file = folder / FILE
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            stream.write(secrets.token_hex(32))
    return file.read_text(encoding="utf-8").strip().encode()
