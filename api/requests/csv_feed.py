"""A feed in CSV: each row a change, its columns told by the table itself."""

from collections.abc import Sequence
from tempfile import TemporaryFile, gettempdir
from typing import Any

from api.errors import Fault, RequestInvalid
from api.requests.body import Body
from api.requests.feed import KEEP, Feed
from services.errors import InvalidSource
from services.feeds.changes import WrongChange, named
from services.feeds.tables.headers import FEED
from services.feeds.tables.options import Options, Role, parsed
from services.feeds.tables.table import Record, Table
from services.kinds import Kinds
from services.storage.disk import disk_errors

TABLES = ("text/csv", "application/csv", "text/tab-separated-values")
ID_ONLY = ("delete", KEEP)
"""Changes that take nothing of their row but the ID."""
EXAMPLES = 5
"""Cells without a value that a job names for each column."""


def read(
    body: Body, *, skip: bool, replace: bool, kinds: Kinds, columns: Sequence[str], charset: str | None
) -> tuple[Feed, dict[str, Any]]:
    """Reads a body as a feed, which the caller closes, and what its columns were taken for.

    The body is spooled: the first pass over it learns the columns, the second makes changes of its rows.

    Args:
        body: The request's body.
        skip: Whether wrong rows are kept as refusals instead of refusing the feed.
        replace: Whether the feed names all products.
        kinds: Those that the catalog declares for values of attributes.
        columns: What is said by hand of columns.
        charset: What the text is said to be in.

    Raises:
        RequestInvalid: The table lacks a column, or cannot be read as a whole.
        FeedInvalid, InvalidChange: As `Feed.check`.
    """
    feed = Feed(skip=skip, kinds=kinds, replace=replace)
    try:
        with disk_errors(gettempdir()), TemporaryFile() as spool:
            for chunk in body.chunks():
                spool.write(chunk)
            table = Table(spool, "The body", FEED, _options(columns, charset), kinds.declared)
            for refusal in table.unknown.values():
                raise refusal
            for record in table.records():
                _take(feed, record)
        feed.check()
    except InvalidSource as error:
        feed.close()
        raise RequestInvalid([Fault(str(error), RequestInvalid.code, "body")]) from error
    except BaseException:
        feed.close()
        raise
    return feed, {"columns": table.as_json(EXAMPLES), "notes": [f"The feed: {note}." for note in table.notes]}


def _options(columns: Sequence[str], charset: str | None) -> Options:
    try:
        kinds, headers = parsed(columns)
    except InvalidSource as error:
        raise RequestInvalid([Fault(str(error), RequestInvalid.code, "column")]) from error
    return Options(kinds, headers, charset, ask="column=", ask_encoding="charset=")


def _take(feed: Feed, record: Record) -> None:
    try:
        if record.error and not (record.field == "attributes" and _op(record) in ID_ONLY):
            raise WrongChange(record.field, record.error)
        feed.take_value(record.line, _meant(record))
    except WrongChange as wrong:
        feed.refuse(
            record.line,
            named({"product_id": record.product_id}),
            wrong,
            of_other_kind=record.error is not None and record.field == "attributes",
        )


def _op(record: Record) -> str:
    return record.roles.get(Role.OP, "").strip().lower()


def _meant(record: Record) -> dict[str, Any]:
    """The change as JSON would have it; a delete takes nothing of its row but the ID, and so does `keep`."""
    value: dict[str, Any] = {"product_id": record.product_id}
    if op := _op(record):
        value["op"] = op
    if op in ID_ONLY:
        return value
    if (url := record.roles.get(Role.IMAGE_URL, "")).strip():
        value["image_url"] = url
    if record.attributes:
        value["attributes"] = record.attributes
    return value
