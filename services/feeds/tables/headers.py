"""Which columns of a table are the product's ID and image: by our names, or by those that shops give them."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from services.errors import InvalidSource
from services.feeds.tables.options import Options, Role

_IDS = ("productid", "sku", "productsku", "variantsku", "id", "gid", "itemid")
_URLS = ("imageurl", "imagesrc", "imagelink", "gimagelink", "image")
_PATHS = ("imagepath", "imagefile", "filename", "file", "path", "image")
ALIASES: Mapping[Role, Sequence[str]] = {Role.PRODUCT_ID: _IDS, Role.IMAGE_URL: _URLS, Role.IMAGE_PATH: _PATHS}
"""What shops call it, in lower case and without anything but letters and digits."""

KNOWN = frozenset({*Role, "sku", "id", "g:id", "item_id", "item id", "variant sku", "product sku", "product id"})
"""Names in lower case of which a table has one, most likely."""

SHOWN = 40


def plain(name: str) -> str:
    """A name in lower case, without anything but letters and digits."""
    return re.sub(r"[\W_]", "", name.casefold())


@dataclass(frozen=True, slots=True)
class Use:
    """What a table is for: the roles that it must have, and those that its columns may have besides.

    `any_of`: it must have one of these.
    """

    required: Sequence[Role] = (Role.PRODUCT_ID,)
    any_of: Sequence[Role] = ()
    optional: Sequence[Role] = ()


LIST = Use(any_of=(Role.IMAGE_PATH, Role.IMAGE_URL))
"""A list on a disk."""
FEED = Use(any_of=(Role.IMAGE_URL, Role.OP))
"""A feed of changes."""
ATTRIBUTES = Use(optional=(Role.IMAGE_PATH, Role.IMAGE_URL))
"""Attributes of products whose images come from elsewhere."""


class Header:
    """The names of columns, as the first row has them; a column without one has an empty name."""

    def __init__(self, cells: Sequence[str], options: Options, table: str) -> None:
        self.names = [cell.strip() for cell in cells]
        self.unknown: dict[str, InvalidSource] = {}
        self._options = options
        self._table = table

    def place(self, name: str) -> int | None:
        """The column that is called so by hand, or the only one that differs in case alone.

        None: there is none, and `unknown` has the refusal, since another table may have it.

        Raises:
            InvalidSource: Several columns have that name.
        """
        same = [n for n, each in enumerate(self.names) if each == name]
        same = same or [n for n, each in enumerate(self.names) if each.casefold() == name.casefold()]
        if len(same) > 1:
            raise InvalidSource(f"{self._table} has {len(same)} columns {name[:120]!r}; there are {self._shown()}.")
        if not same:
            why = f"{self._table} has no column {name[:120]!r}; there are {self._shown()}."
            self.unknown[name] = InvalidSource(why)
            return None
        return same[0]

    def roles(self, use: Use) -> dict[Role, int]:
        """The columns that have the roles of a use.

        Raises:
            InvalidSource: One is missing, several columns could be it, or something was said of another role.
        """
        for role in self._options.headers:
            if role not in (*use.required, *use.any_of, *use.optional):
                raise InvalidSource(f"{self._table} takes no {role}: leave out {self._options.advised(role, 'NAME')}.")
        found = {role: self.find(role) for role in use.required}
        found |= {role: self.find(role, aliases=False) for role in (*use.any_of, *use.optional)}
        images = [role for role in use.any_of if role is not Role.OP]
        if images and all(found[role] is None for role in images):
            found |= self._called_images(images, found)
        for role in use.required:
            if found[role] is None:
                raise self.lacks(role)
        if use.any_of and all(found[role] is None for role in use.any_of):
            raise self.lacks(*images)
        return {role: n for role, n in found.items() if n is not None}

    def find(self, role: Role, aliases: bool = True) -> int | None:
        """The column that is said to be it, has its name, or alone has one that shops give it; None if there is none.

        Raises:
            InvalidSource: Several columns could be meant.
        """
        said = self.place(self._options.headers[role]) if role in self._options.headers else None
        if said is not None:
            return said
        found = [n for n, each in enumerate(self.names) if each == role]
        found = found or [n for n, each in enumerate(self.names) if each.casefold() == role]
        if found:
            return self.one_of(role, found)
        if not aliases or role is Role.OP:
            return None
        return self.one_of(role, self.called(ALIASES[role]))

    def called(self, aliases: Collection[str]) -> list[int]:
        """The columns whose names are among these."""
        free = [n for n, each in enumerate(self.names) if each not in self._options.headers.values()]
        return [n for n in free if plain(self.names[n]) in aliases]

    def lacks(self, *roles: Role) -> InvalidSource:
        """The refusal of a table without a column of any of these roles."""
        names = " or ".join(roles)
        return InvalidSource(
            f"{self._table} has no column {names}; there are {self._shown()}. If one of them is meant, say "
            f"{self._options.advised(roles[0], 'NAME')}."
        )

    def one_of(self, role: Role, found: Sequence[int]) -> int | None:
        """The only one of these columns; None if there is none. Raises `InvalidSource` where there are several."""
        if len(found) > 1:
            names = " and ".join(repr(self.names[n]) for n in found)
            raise InvalidSource(
                f"{self._table} has several columns that could be {role}, {names}: say which with "
                f"{self._options.advised(role, self.names[found[0]])}."
            )
        return found[0] if found else None

    def _called_images(self, roles: Sequence[Role], taken: Mapping[Role, int | None]) -> dict[Role, int | None]:
        """The one column that has an alias of these roles; it may be one of both kinds of images."""
        names = {name for role in roles for name in ALIASES[role]}
        found = [n for n in self.called(names) if n not in taken.values()]
        self.one_of(roles[-1], found)
        return {role: n for n in found for role in roles if plain(self.names[n]) in ALIASES[role]}

    def _shown(self) -> str:
        some = ", ".join(repr(name[:80]) for name in self.names[:SHOWN])
        return some + (f" and {len(self.names) - SHOWN} more" if len(self.names) > SHOWN else "")
