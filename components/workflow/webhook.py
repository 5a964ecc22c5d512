"""Notifications: signed JSON posts to the team's webhook, repeated until one is accepted, without delaying a run.

The body is JSON; `X-Adloom-Signature: t=SECONDS,v1=HEX` is HMAC-SHA-256 with the secret over the text `SECONDS.BODY`,
so that a receiver can check the sender and refuse an old post that is sent again. A notification may come twice, with
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
class Notification:
    """One notification. event: one of `notify.events`. id: the same whenever the same event is sent again."""

    id: str
    event: str
    dataset: str
    run: str
    reasons: tuple[str, ...]


def sign(body: bytes, secret: str, seconds: int) -> str:
    """The signature header of `body` sent at `seconds` since 1970."""
    digest = hmac.new(secret.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={seconds},v1={digest}"


def post(notification: Notification, config: NotifyConfig) -> None:
    """Post and wait until it is accepted; UserError if it is not, or a setting or the secret is missing."""
    if config.webhook is None or notification.event not in config.events:
        return
    url, secret = expand(config.webhook), os.environ.get(SECRET)
    if not secret:
        raise UserError(f"notify.webhook: {SECRET} is not set, and nothing is sent without a signature")
    body = json.dumps(asdict(notification), ensure_ascii=False, allow_nan=False).encode()
    for attempt in range(config.attempts):
        if attempt:
            time.sleep(config.backoff_seconds * 2 ** (attempt - 1))
        answer = _attempt(url, body, sign(body, secret, int(time.time())), config.timeout_seconds)
        if answer not in TRANSIENT:
            break
    if not (isinstance(answer, int) and 200 <= answer < 300):
        raise UserError(f"notify.webhook did not accept {notification.id}: {answer}")


def _attempt(url: str, body: bytes, signature: str, timeout: float) -> int | str:
    """The status of the response, or the kind of error; its text may contain the address, which may be secret.

    `post` repeats it, because urllib3's retries would log the address.
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


def post_in_background(notification: Notification, config: NotifyConfig) -> threading.Thread:
    """Post in a thread and return it; a failure is a warning in the log. The process does not end before the thread."""

    def attempt() -> None:
        try:
            post(notification, config)
        except UserError as error:
            log.warning("%s", error)
        except Exception as error:
            log.warning("notify.webhook did not accept %s: %s", notification.id, type(error).__name__)

    thread = threading.Thread(target=attempt, name=f"webhook {notification.id}")
    thread.start()
    return thread
