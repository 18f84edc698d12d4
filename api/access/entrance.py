"""The ways into a service: an API key, the cookie of a session, a signed URL; without keys, this machine."""

from dataclasses import dataclass
from typing import Self

import structlog
from werkzeug.http import parse_cookie

from api.access.keyring import Keyring
from api.access.keys import Key
from api.access.public_url import PublicUrl, origins
from api.access.secret_file import beside, kept_secret
from api.access.sessions import COOKIE, Sessions
from api.access.signed_pictures import SignedPictures
from services.errors import InvalidSetting
from services.settings import Settings

SESSION_PATH = "/v1/session"
LOG_IN_BYTES = 4096
"""What a body may have whose sender is not known yet: it holds a key."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a server knows of a request before it reads the body; `size` None: it is not told."""

    method: str
    path: str
    authorization: str
    cookies: str
    size: int | None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks; `ends`: when the session does, in seconds of Unix time."""

    key: Key
    ends: int | None = None


@dataclass(frozen=True, slots=True)
class Entrance:
    """Who is let in, and how.

    `keyring` None: this machine only, and neither sessions nor signatures. They are None with keys, too, where no
    secret can be kept. `origins` are those whose pages may call with a key.
    """

    keyring: Keyring | None
    sessions: Sessions | None
    pictures: SignedPictures | None
    public: PublicUrl | None
    origins: frozenset[str]

    @classmethod
    def of(cls, settings: Settings, keyring: Keyring | None) -> Self:
        """Raises `InvalidSetting`."""
        public = PublicUrl.parse(settings.public_url) if settings.public_url else None
        allowed = origins(settings.allow_origins)
        if keyring is None:
            if allowed:
                raise InvalidSetting(
                    "LOOKALIKE_ALLOW_ORIGINS is refused without API keys: such pages could do everything. Name a file "
                    "of keys in LOOKALIKE_API_KEYS_FILE."
                )
            return cls(None, None, None, public, allowed)
        try:
            secret = kept_secret(beside(keyring.path))
        except InvalidSetting as error:
            # What goes with keys alone still works.
            structlog.get_logger("api").warning("no_sessions", detail=str(error))
            return cls(keyring, None, None, public, allowed)
        return cls(keyring, Sessions(keyring, secret), SignedPictures(secret), public, allowed)

    def caller(self, authorization: str, cookie: str | None) -> Caller | None:
        """Who sends these: the header `Authorization`, or without one the cookie of a session. None: nobody known."""
        if authorization:
            key = self._bearer(authorization)
            return Caller(key) if key else None
        found = self.sessions.known(cookie) if self.sessions and cookie else None
        return Caller(*found) if found else None

    def takes_body(self, head: Head) -> bool:
        """Whether the body of a request is read at all: of everybody only where it is small and logs in."""
        if self.keyring is None or self.caller(head.authorization, parse_cookie(head.cookies).get(COOKIE)):
            return True
        path = head.path.removeprefix(self.public.path if self.public else "")
        return (head.method, path) == ("POST", SESSION_PATH) and head.size is not None and head.size <= LOG_IN_BYTES

    def _bearer(self, authorization: str) -> Key | None:
        scheme, _, secret = authorization.partition(" ")
        return self.keyring.find(secret.strip()) if self.keyring and scheme.lower() == "bearer" else None
