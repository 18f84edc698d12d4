"""Findings that commands show: made anew where that is due and may be done, else shown with a word about their age."""

from collections.abc import Callable
from typing import TypeVar

from api.cli.output import display, reported, stderr
from api.errors import Forbidden
from services.errors import FindingNotFound

Shown = TypeVar("Shown")


def brought_up_to_date(
    title: str,
    read: Callable[[], Shown],
    make: Callable[[Callable[[int, int], object]], object],
    *,
    is_current: Callable[[Shown], bool],
) -> tuple[Shown, bool]:
    """A finding that is there and current, else one that is made now, with a bar; False where one that is there is to
    be shown as it is, because the key that asks is for searching only.

    Args:
        title: Of the bar.
        read: Reads it; raises `FindingNotFound` where there is none.
        make: Makes it anew, and reports how far it is.
        is_current: Whether what was read may be shown without that.

    Raises what `make` does, `Forbidden` too where nothing is there.
    """
    try:
        found = read()
    except FindingNotFound:
        found = None
    if found is not None and is_current(found):
        return found, True
    with reported(title) as report:
        try:
            make(report)
        except Forbidden:
            if found is None:
                raise
            return found, False
    return read(), True


def warn_not_current(way: str, *, found_at: str | None, stale: bool, complete: bool, refused: bool) -> None:
    """Says of what is shown that it is not what the catalog is now, and what to do.

    Args:
        way: The command that makes it anew.
        found_at: When it was found, RFC 3339.
        stale: The catalog has changed since.
        complete: All products were looked at.
        refused: The key that asked may not have it made anew.
    """
    if complete and not stale:
        return
    what = f"The catalog has changed since this was found, at {found_at}" if stale else "Not all was looked at yet"
    key = ", with a key for admin in LOOKALIKE_API_KEY" if refused else ""
    stderr().print(display(f"{what}: `{way}` brings it up to date{key}."), style="yellow", soft_wrap=True)
