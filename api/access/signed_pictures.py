"""Signed URLs of pictures: who has one sees that picture until its time is over, without a key."""

import json
import time
from collections.abc import Callable, Mapping
from hashlib import sha256

from itsdangerous import Signer

EXPIRES = "expires"
SIGNATURE = "signature"


class SignedPictures:
    """Signs what a URL says, and tells whether it was signed: which picture, by which route, until when."""

    def __init__(self, secret: bytes, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._signer = Signer(secret, salt="lookalike picture", digest_method=sha256, key_derivation="hmac")

    def signed(self, endpoint: str, values: Mapping[str, str], seconds: int) -> dict[str, str]:
        """The values of a URL with its end and its signature.

        It is good for these seconds at least, and for twice as long at most: URLs that are made within a window of that
        length are the same, so that caches know them again.
        """
        told = dict(values) | {EXPIRES: str((int(self._now()) // seconds + 2) * seconds)}
        return told | {SIGNATURE: self._signer.get_signature(_written(endpoint, told)).decode()}

    def seconds_left(self, endpoint: str, values: Mapping[str, str]) -> int | None:
        """How long a URL of these values is still good; None: its time is over, or it was not signed here as it is."""
        told = {name: value for name, value in values.items() if name != SIGNATURE}
        is_ours = self._signer.verify_signature(_written(endpoint, told), values.get(SIGNATURE, ""))
        # What we have signed has an end that is a number.
        left = int(told[EXPIRES]) - int(self._now()) if is_ours else 0
        return left if left > 0 else None


def _written(endpoint: str, values: Mapping[str, str]) -> bytes:
    """What is signed: names and values as they are decoded, since proxies write percent-encodings differently."""
    return json.dumps([endpoint, sorted(values.items())]).encode()
