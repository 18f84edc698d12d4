"""Sessions of browsers: a signed cookie that stands for an API key for twelve hours. Nothing of them is kept here."""

import time
from collections.abc import Callable
from hashlib import sha256

from itsdangerous import BadData, URLSafeSerializer

from api.access.keyring import Keyring
from api.access.keys import Key

COOKIE = "lookalike_session"
SECONDS = 12 * 3600


class Sessions:
    """Makes cookies and reads them.

    A cookie names its key, the hash of the key's secret, and when it ends: so it opens what the key opens at this
    moment, and nothing once the key is revoked or has another secret. It ends by itself only in the browser that
    forgets it: a copy of it is good until then.
    """

    def __init__(self, keyring: Keyring, secret: bytes, now: Callable[[], float] = time.time) -> None:
        self._keyring = keyring
        self._now = now
        self._signed = URLSafeSerializer(
            secret, salt="lookalike session", signer_kwargs={"digest_method": sha256, "key_derivation": "hmac"}
        )

    def begun(self, key: Key) -> tuple[str, int]:
        """The cookie of a new session, and when it ends, in seconds of Unix time."""
        ends = int(self._now()) + SECONDS
        written = self._signed.dumps([key.name, key.sha256, ends])
        return written if isinstance(written, str) else written.decode(), ends

    def known(self, cookie: str) -> tuple[Key, int] | None:
        """The key that a cookie stands for, and when it ends; None: it is none of ours, or no longer one."""
        try:
            name, digest, ends = self._signed.loads(cookie)
        except BadData:
            return None
        key = self._keyring.named(name)
        if key is None or key.sha256 != digest or ends <= self._now():
            return None
        return key, ends
