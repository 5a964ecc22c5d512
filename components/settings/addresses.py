"""Addresses that settings and the environment name: no secret stands in them in clear, and none is shown.

A secret is a password before the host, or what an option after `?` holds whose name says so (`passwd`, `sslpassword`,
`token`, ...). `${NAME}` stands for an environment variable and is no secret.
"""

import re
from urllib.parse import unquote_plus

from components.settings.errors import UserError

_USER = re.compile(r"(?<=://)([^/?#@\s:]*):([^/?#\s]*)(?=@)")
_OPTION = re.compile(r"([\w.\[\]-]+)(\s*=\s*)([^&;\s'\"]+)")
# what an option's name ends with that holds a secret; `sslkey` and `passfile` name files
_SECRET = re.compile(
    r"(?:pass|passw(?:or)?d|passphrase|pwd|secret|token|credentials?|sig|signature|auth|authorization"
    r"|api[_.-]?key|access[_.-]?key(?:[_.-]?id)?|secret[_.-]?key|account[_.-]?key|(?<!\w)key)$",
    re.IGNORECASE,
)
_VARIABLE = re.compile(r"\$\{\w+\}")
HIDDEN = "***"


def holds_secret(address: str) -> bool:
    """Whether `address` has a password or another secret in clear, percent-encoded or not."""
    return hidden(address) != address or any(hidden(text) != text for text in _decoded(address))


def check_no_secret(address: str, setting: str) -> str:
    """`address` itself; UserError that names the `setting` and repeats nothing of a secret that it holds."""
    if holds_secret(address):
        raise UserError(
            f"{setting} holds a password or a token; write ${{NAME}} in its place and set that environment variable"
        )
    return address


def hidden(text: str) -> str:
    """`text`, such as a message that quotes addresses, with `***` for each secret of an address in it."""
    shown = _USER.sub(lambda found: f"{found.group(1)}:{_mask(found.group(2))}", text)
    if "?" not in shown:
        return shown
    head, mark, options = shown.partition("?")
    return head + mark + _OPTION.sub(_option, options)


def _option(found: re.Match) -> str:
    name, equals, value = found.groups()
    return f"{name}{equals}{_mask(value)}" if _SECRET.search(name) else found.group()


def _mask(value: str) -> str:
    return value if not value or _VARIABLE.fullmatch(value) or value == HIDDEN else HIDDEN


def _decoded(address: str) -> list[str]:
    """The address with its percent-encoding undone once and twice, for an option may hold options."""
    once = unquote_plus(address)
    return [once, unquote_plus(once)]
