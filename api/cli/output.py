"""What commands print: answers on stdout, everything else on stderr, errors as one sentence."""

import json
import sys
from collections.abc import Callable
from functools import wraps
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

from services.errors import LookalikeError

P = ParamSpec("P")

REFUSED = 2
INTERRUPTED = 130

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
data_option = click.option("--data", metavar="DIR", help="Data folder.  [default: LOOKALIKE_DATA, or lookalike-data]")
catalog_option = click.option("--catalog", metavar="NAME", default="products", show_default=True, help="Catalog.")


def stdout() -> Console:
    """For answers."""
    return Console(highlight=False)


def stderr() -> Console:
    """For progress and notes."""
    return Console(stderr=True, highlight=False)


def print_json(answer: dict[str, Any]) -> None:
    """The one JSON object of a command."""
    click.echo(json.dumps(answer, ensure_ascii=False, default=str))


def command(run: Callable[P, None]) -> Callable[P, None]:
    """Turns what a command raises into one sentence (or one JSON object) and an exit status."""

    @wraps(run)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        as_json = bool(kwargs.get("as_json"))
        try:
            run(*args, **kwargs)
        except LookalikeError as error:
            refuse(error, as_json=as_json)
        except KeyboardInterrupt:
            if as_json:
                print_json({"error": {"code": "interrupted", "message": "Interrupted before anything was done."}})
            stderr().print("Interrupted.")
            sys.exit(INTERRUPTED)

    return wrapped


def refuse(error: LookalikeError, *, as_json: bool) -> NoReturn:
    """Says what is wrong and ends the command with status 2."""
    if as_json:
        print_json({"error": {"code": error.code, "message": str(error)}})
    else:
        stderr().print(Text.assemble(("Refused", "bold red"), f" ({error.code}): {error}"), soft_wrap=True)
    sys.exit(REFUSED)


def progress() -> Progress:
    """A bar with count, rate and time left; silent where stderr is no terminal."""
    console = stderr()
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )


class RateColumn(ProgressColumn):
    """Items a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f}/s" if speed else "-/s", style="cyan")
