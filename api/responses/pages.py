"""The pages of what a query finds, and the cursors that go from one to the next."""

import re
from collections.abc import Iterable
from dataclasses import replace
from hashlib import sha256

from api.errors import Fault, RequestInvalid
from api.requests.models import MAX_OFFSET
from api.responses import schemas
from api.responses.warnings import warned
from services.catalog.catalog import Catalog
from services.descriptions import CatalogSpec
from services.errors import GenerationChanged
from services.paging import from_cursor, to_cursor
from services.query.likeness import count_good
from services.query.query import MAX_LIMIT, Query
from services.records import Answer


def page_of(
    catalog: Catalog, query: Query, mark: str = "", directions: Iterable[str] | None = None
) -> tuple[Answer, str | None, list[schemas.FilterWarning]]:
    """What a query finds, the cursor of the next page, and what may be wrong with its filter where nothing is found.

    One neighbor more than the page has is asked for, to know if there is a next. `mark` tells the query from others;
    `directions` are those that it goes along, None where it is no sum that could.
    """
    has_pages = query.group_by is None and not query.diversity
    more = replace(query, limit=min(query.limit + 1, MAX_LIMIT)) if has_pages else query
    answer = catalog.query(more)
    end = query.offset + query.limit
    goes_on = has_pages and len(answer.neighbors) >= more.limit and end <= MAX_OFFSET
    shown = answer.neighbors[: query.limit] if has_pages else answer.neighbors
    # A later page may be empty only because the one before was the last.
    is_empty = not answer.neighbors and query.filter is not None
    is_empty = is_empty and not (query.offset and catalog.count(query.filter))
    good = None if answer.good is None else count_good(shown)
    following = None
    if goes_on:
        # After the answer: a direction may have been learned anew for it.
        ground = "" if directions is None else ground_of(catalog, directions)
        following = _cursor(end, catalog.spec, mark, ground)
    warnings = warned(catalog, query.filter) if is_empty else []
    return replace(answer, neighbors=shown, good=good), following, warnings


def ground_of(catalog: Catalog, directions: Iterable[str]) -> str:
    """What else, beside the generation, ranks the answers to a query: the space of the catalog, and the directions of
    these names, as they are now. Raises `DirectionNotFound`."""
    catalog.space.now()
    objects = [catalog.directions.get(name)[0].object for name in dict.fromkeys(directions)]
    return "\n".join([catalog.spec.space or "", *objects])


def offset_of(cursor: str | None, spec: CatalogSpec, mark: str = "", ground: str = "") -> int:
    """Where the page of a cursor begins. Raises `RequestInvalid`, `GenerationChanged`."""
    if cursor is None:
        return 0
    found = re.fullmatch(r"o([0-9]{1,6})g([0-9a-f]{8})(?:q([0-9a-f]{8}))?", from_cursor(cursor))
    if not found or (offset := int(found[1])) > MAX_OFFSET:
        raise _refused("it is invalid; take `next` of the previous page")
    if (found[3] or "") != mark:
        raise _refused("it belongs to another query; send the query that it came from, or leave it out")
    if found[2] != _short(spec.generation + ground):
        what = "Another generation" if not ground else "Another generation, space or direction"
        raise GenerationChanged(
            f"{what} of catalog {spec.name} has become the live one since the page before, and ranks products "
            "differently: begin again without a cursor."
        )
    return offset


def _cursor(offset: int, spec: CatalogSpec, mark: str, ground: str) -> str:
    return to_cursor(f"o{offset}g{_short(spec.generation + ground)}{f'q{mark}' if mark else ''}")


def mark_of(*parts: str) -> str:
    """What tells a query from others."""
    return _short("\n".join(parts))


def _short(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:8]


def _refused(why: str) -> RequestInvalid:
    return RequestInvalid([Fault(f"cursor: {why}.", RequestInvalid.code, "cursor")])
