"""Secrets in addresses (URLs) of settings and of the environment: none may be written in clear, and none is shown.

A secret is a password before the host, or the value of an option after `?` with a name such as `passwd`, `sslpassword`
or `token`. `${NAME}` stands for an environment variable and is no secret.
"""

import re
from urllib.parse import unquote_plus

from components.settings.errors import UserError

_USER = re.compile(r"(?<=://)([^/?#@\s:]*):([^/?#\s]*)(?=@)")
_OPTION = re.compile(r"([\w.\[\]-]+)(\s*=\s*)([^&;\s'\"]+)")
# endings of the names of options that hold a secret; `sslkey` and `passfile` name files
_SECRET = re.compile(
    r"(?:pass|passw(?:or)?d|passphrase|pwd|secret|token|credentials?|sig|signature|auth|authorization"
    r"|api[_.-]?key|access[_.-]?key(?:[_.-]?id)?|secret[_.-]?key|account[_.-]?key|(?<!\w)key)$",
    re.IGNORECASE,
)
_VARIABLE = re.compile(r"\$\{\w+\}")
HIDDEN = "***"


def holds_secret(address: str) -> bool:
    """Whether `address` contains a secret in clear, percent-encoded or not."""
    return hidden(address) != address or any(hidden(text) != text for text in _decoded(address))


def check_no_secret(address: str, setting: str) -> str:
    """`address` itself if it contains no secret; else a UserError that names the `setting` and not the secret."""
    if holds_secret(address):
        raise UserError(
            f"{setting} holds a password or a token; write ${{NAME}} in its place and set that environment variable"
        )
    return address


def hidden(text: str) -> str:
    """`text`, such as a message that quotes addresses, with `***` in place of each secret in an address."""
    shown = _USER.sub(lambda match: f"{match.group(1)}:{_mask(match.group(2))}", text)
    if "?" not in shown:
        return shown
    head, mark, options = shown.partition("?")
    return head + mark + _OPTION.sub(_option, options)


def _option(match: re.Match) -> str:
    name, equals, value = match.groups()
    return f"{name}{equals}{_mask(value)}" if _SECRET.search(name) else match.group()


def _mask(value: str) -> str:
    return value if not value or _VARIABLE.fullmatch(value) or value == HIDDEN else HIDDEN


def _decoded(address: str) -> list[str]:
    """`address` percent-decoded once and twice, since the value of an option may itself contain options."""
    once = unquote_plus(address)
    return [once, unquote_plus(once)]
