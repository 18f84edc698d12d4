"""How others see the service: a proxy in front of it has another scheme, another host, and perhaps a path."""

import re
from dataclasses import dataclass
from typing import Self

from services.errors import InvalidSetting

_ORIGIN = re.compile(r"(https?)://([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?", re.IGNORECASE)
_SEGMENT = r"(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+"
_PATH = re.compile(rf"((?:/{_SEGMENT})*)/?")
OWN = frozenset({"docs", "livez", "metrics", "openapi.json", "problems", "readyz", "static", "v1"})
"""What paths of the service begin with."""
_PORTS = {"http": "80", "https": "443"}


@dataclass(frozen=True, slots=True)
class PublicUrl:
    """`origin` as browsers write it in the header `Origin`; `path`: below which everything is, "" or "/lookalike"."""

    origin: str
    path: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises `InvalidSetting`."""
        found = _ORIGIN.match(text)
        rest = _PATH.fullmatch(text, found.end()) if found else None
        if not found or not rest:
            raise InvalidSetting(
                f"LOOKALIKE_PUBLIC_URL={text} is refused: it takes http:// or https://, a host and perhaps a path, as "
                "in https://shop.example/lookalike, without a query; a host of other letters is written in punycode."
            )
        if rest[1] and rest[1].split("/")[1] in OWN:
            raise InvalidSetting(
                f"LOOKALIKE_PUBLIC_URL={text} is refused: its path begins as paths of the service do "
                f"({', '.join(sorted(OWN))}), which follow after it. Take another, such as /lookalike."
            )
        return cls(_written(found), rest[1])

    @property
    def is_secure(self) -> bool:
        return self.origin.startswith("https:")

    def __str__(self) -> str:
        return self.origin + self.path


def origins(text: str) -> frozenset[str]:
    """The origins of a list with commas, as browsers write them. Raises `InvalidSetting`."""
    found = {_origin(each.strip()) for each in text.split(",") if each.strip()}
    return frozenset(found)


def _origin(text: str) -> str:
    found = _ORIGIN.fullmatch(text)
    if not found:
        raise InvalidSetting(
            f"LOOKALIKE_ALLOW_ORIGINS: {text} is no origin. An origin is http:// or https:// and a host, such as "
            "https://shop.example, without a path; pages are not let in by patterns."
        )
    return _written(found)


def _written(found: "re.Match[str]") -> str:
    scheme, host, port = found[1].lower(), found[2].lower(), found[3]
    return f"{scheme}://{host}" + (f":{int(port)}" if port and port != _PORTS[scheme] else "")
