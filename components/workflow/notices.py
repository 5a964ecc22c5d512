"""What people should hear of -> a signed JSON post to the team's webhook, repeated until it is taken, never in the way.

The body is JSON; `X-Adloom-Signature: t=SECONDS,v1=HEX` is HMAC-SHA-256 under the secret of the text `SECONDS.BODY`, so
that a receiver can tell who sent it and refuse an old one that is sent again. A notice may come twice, with
the same `id`.
"""

import hashlib
import hmac
import json
import logging
import os
import threading
import time
from dataclasses import asdict, dataclass

from components.settings.environment import expand
from components.settings.errors import UserError
from components.settings.sections import NotifyConfig

SECRET = "ADLOOM_WEBHOOK_SECRET"
TRANSIENT = (408, 429, 500, 502, 503, 504, "timeout", "no connection")  # worth another attempt
SIGNATURE = "X-Adloom-Signature"

log = logging.getLogger("adloom")


@dataclass(frozen=True)
class Notice:
    """One thing to tell. `event` is one of `notify.events`; `id` is the same whenever the same thing is told again."""

    id: str
    event: str
    dataset: str
    run: str
    reasons: tuple[str, ...]


def sign(body: bytes, secret: str, seconds: int) -> str:
    """The signature header of `body` sent at `seconds` since 1970."""
    digest = hmac.new(secret.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={seconds},v1={digest}"


def post(notice: Notice, config: NotifyConfig) -> None:
    """Post `notice` and wait until it is taken; UserError where it is not, or a setting or the secret is missing."""
    if config.webhook is None or notice.event not in config.events:
        return
    url, secret = expand(config.webhook), os.environ.get(SECRET)
    if not secret:
        raise UserError(f"notify.webhook: {SECRET} is not set, and nothing is sent without a signature")
    body = json.dumps(asdict(notice), ensure_ascii=False, allow_nan=False).encode()
    for attempt in range(config.attempts):
        if attempt:
            time.sleep(config.backoff_seconds * 2 ** (attempt - 1))
        answer = _attempt(url, body, sign(body, secret, int(time.time())), config.timeout_seconds)
        if answer not in TRANSIENT:
            break
    if not (isinstance(answer, int) and 200 <= answer < 300):
        raise UserError(f"notify.webhook did not take {notice.id}: {answer}")


def _attempt(url: str, body: bytes, signature: str, timeout: float) -> int | str:
    """The status of the answer, or the kind of error in a word: its text may hold the address, which may be secret.

    A loop of our own repeats it, for urllib3's logs the address as it does.
    """
    import requests

    headers = {"Content-Type": "application/json", SIGNATURE: signature}
    try:
        return requests.post(url, data=body, headers=headers, timeout=timeout, allow_redirects=False).status_code
    except requests.Timeout:
        return "timeout"
    except requests.ConnectionError:
        return "no connection"
    except (requests.RequestException, ValueError) as error:
        return type(error).__name__


def post_aside(notice: Notice, config: NotifyConfig) -> threading.Thread:
    """Begin to post and come back at once; a failure is a warning in the log. The process outlasts all attempts."""

    def attempt() -> None:
        try:
            post(notice, config)
        except UserError as error:
            log.warning("%s", error)
        except Exception as error:
            log.warning("notify.webhook did not take %s: %s", notice.id, type(error).__name__)

    thread = threading.Thread(target=attempt, name=f"webhook {notice.id}")
    thread.start()
    return thread
