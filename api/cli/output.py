"""What commands print: answers on stdout, everything else on stderr, errors as one sentence."""

import json
import sys
import traceback
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn, ParamSpec

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from api.cli.main import INTERRUPTED
from services.errors import LookalikeError
from services.records import FilterWarning

P = ParamSpec("P")

REFUSED = 2
SHOWN_FAILURES = 20

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
data_option = click.option("--data", metavar="DIR", help="Data folder.  [default: LOOKALIKE_DATA, or lookalike-data]")
weights_option = click.option(
    "--weights", metavar="SPEC", help="imagenet, a .h5, .weights.h5 or .keras file, or random:SEED."
)
features_option = click.option(
    "--features",
    type=click.Choice(["head", "tuned"]),
    help="Which layers become vectors; tuned ones learn from 1,000 pictures or more.  [default: the catalog's]",
)
filter_option = click.option(
    "--filter", "filter_json", metavar="JSON", help="Only these, in Qdrant's form (docs/cli.md)."
)
html_option = click.option(
    "--html", metavar="FILE", type=click.Path(path_type=Path), help="Write a contact sheet that needs no other file."
)
limit_option = click.option(
    "-n",
    "--limit",
    metavar="N",
    type=click.IntRange(1, 1000),
    default=20,
    show_default=True,
    help="How many are shown.",
)
catalog_option = click.option("--catalog", metavar="NAME", default="products", show_default=True, help="Catalog.")


def stdout() -> Console:
    """For answers."""
    return Console(highlight=False, markup=False)


def stderr() -> Console:
    """For progress and notes."""
    return Console(stderr=True, highlight=False, markup=False)


def print_json(answer: dict[str, Any]) -> None:
    """The one JSON object of a command, in UTF-8 whatever the file names in it."""
    text = json.dumps(answer, ensure_ascii=False, default=str) + "\n"
    click.echo(text.encode("utf-8", "backslashreplace"), nl=False)


def display(text: object) -> Text:
    """Text of strangers for a terminal: control and direction characters escaped, nothing taken for markup."""
    return Text("".join(_escaped(character) for character in str(text)))


def _escaped(character: str) -> str:
    if unicodedata.category(character) in ("Cc", "Cf", "Cs"):
        return character.encode("unicode_escape").decode()
    return character


def command(run: Callable[P, None]) -> Callable[P, None]:
    """Turns what a command raises into one sentence (or one JSON object) and an exit status."""

    @wraps(run)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        as_json = bool(kwargs.get("as_json"))
        try:
            run(*args, **kwargs)
        except LookalikeError as error:
            refuse(error, as_json=as_json)
        except (KeyboardInterrupt, click.Abort):
            if as_json:
                print_json({"error": {"code": "interrupted", "message": "Interrupted before anything was done."}})
            stderr().print("Interrupted.")
            sys.exit(INTERRUPTED)
        except Exception as error:  # noqa: BLE001  a mistake of ours: the answer keeps its form, the trace is shown
            if as_json:
                print_json({"error": {"code": "internal", "message": f"{type(error).__name__}: {error}"}})
            traceback.print_exc()
            sys.exit(REFUSED)

    return wrapped


def plain_warnings(warnings: Iterable[FilterWarning]) -> dict[str, Any]:
    """Them as a part of a JSON object, like the API's answers: left out where there are none."""
    found = [asdict(each) for each in warnings]
    return {"warnings": found} if found else {}


def warn(warnings: Iterable[FilterWarning]) -> None:
    """Says why a filter may have found nothing."""
    for each in warnings:
        stderr().print(display(each.message), style="yellow", soft_wrap=True)


def warn_untrained(console: Console) -> None:
    """For catalogs whose weights are random."""
    console.print("The weights are random: neighbors mean nothing until the catalog has trained ones.", style="yellow")


def refuse(error: LookalikeError, *, as_json: bool) -> NoReturn:
    """Says what is wrong and ends the command with status 2."""
    if as_json:
        print_json({"error": {"code": error.code, "message": str(error)}})
    else:
        stderr().print(Text.assemble(("Refused", "bold red"), f" ({error.code}): ", display(error)), soft_wrap=True)
    sys.exit(REFUSED)


def progress() -> Progress:
    """A bar with count, rate and time left; silent where stderr is no terminal."""
    console = stderr()
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )


@contextmanager
def reported(title: str, total: int | None = None) -> Iterator[Callable[[int, int], object]]:
    """The bar of one piece of work: what it gives is called with how much is done, and of how much."""
    with progress() as bar:
        task = bar.add_task(title, total=total)
        yield lambda done, total: bar.update(task, completed=done, total=total)


class RateColumn(ProgressColumn):
    """Items a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f}/s" if speed else "-/s", style="cyan")
