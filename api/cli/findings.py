"""Findings that commands show: made anew where that is due and may be done, else shown with a word about their age."""

from collections.abc import Callable

from api.cli.output import display, stderr
from api.errors import Forbidden


def renew(make: Callable[[], object], *, is_there: bool) -> bool:
    """Has a finding made anew; False where one that is there is to be shown as it is, because the key that asks is for
    searching only. Raises what `make` does, `Forbidden` too where nothing is there."""
    try:
        make()
    except Forbidden:
        if not is_there:
            raise
        return False
    return True


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
