"""`lookalike index`: pictures into a catalog."""

import shlex
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import click
from rich.table import Table

from api.cli import columns as table_columns
from api.cli.columns import column_options, described, note_unmatched, reading_for, report_columns
from api.cli.main import INTERRUPTED
from api.cli.other_kinds import as_json_object, report_others
from api.cli.output import (
    SHOWN_FAILURES,
    catalog_option,
    command,
    data_option,
    display,
    json_option,
    print_json,
    progress,
    stderr,
    stdout,
    warn_untrained,
    weights_option,
)
from api.cli.workspace import AnyCatalog, open_or_create, opened_catalogs, printable
from services import settings
from services.catalog.catalogs import Catalogs
from services.encoders.specs import DEFAULT_ENCODER, DEFAULT_RESAMPLE
from services.errors import DuplicateProduct, InvalidInput
from services.feeds.lists import Reading, attributes_table
from services.feeds.source import IdRule, Source
from services.feeds.sources import check_there, sources
from services.records import Change, ImageSource, OtherKinds, Outcome, Resample, State, failed
from services.settings import Precision


def _as_named(source: Source) -> ImageSource:
    return source.image


@dataclass
class Run:
    """One run over sources, and its counts. `started` is a time of `time.monotonic`; `image` gives their pictures;
    `others` are products with values of other kinds than those of indexed attributes; `reading` has the tables that
    were read."""

    sources: list[Source]
    started: float
    image: Callable[[Source], ImageSource] = _as_named
    counts: dict[State, int] = field(default_factory=lambda: dict.fromkeys(State, 0))
    failures: list[dict[str, str | None]] = field(default_factory=list)
    interrupted: bool = False
    others: Mapping[str, OtherKinds] = field(default_factory=dict)
    reading: Reading = field(default_factory=Reading)
    _images: dict[str, str] = field(default_factory=dict)
    _refused: list[tuple[Source, Outcome]] = field(default_factory=list)

    def changes(self) -> Iterator[Change]:
        """What the catalog is to take; the second file with one product ID is refused."""
        seen = set()
        for source in self.sources:
            if source.fault:
                self._refused.append((source, failed(source.product_id, source.fault)))
                continue
            if source.product_id in seen:
                self._refused.append((source, failed(source.product_id, _duplicate(source))))
                continue
            seen.add(source.product_id)
            self._images[source.product_id] = source.place
            yield Change(source.product_id, image=self.image(source), attributes=source.attributes)

    def follow(self, outcomes: Iterable[Outcome]) -> Generator[int, None, None]:
        """Counts outcomes; yields how many more are done."""
        for outcome in outcomes:
            self._count(outcome, self._images.pop(outcome.product_id))
            yield self._count_refused() + 1
        yield self._count_refused()

    @property
    def status(self) -> int:
        """The exit status: 0 all done, 1 some failed, 130 interrupted."""
        return INTERRUPTED if self.interrupted else int(bool(self.failures))

    def answer(self, catalog: AnyCatalog) -> dict[str, Any]:
        """The JSON object of the command."""
        seconds = time.monotonic() - self.started
        done = sum(self.counts.values())
        spec = catalog.spec
        answer = {
            "catalog": spec.name,
            "total": len(self.sources),
            "applied": self.counts[State.APPLIED],
            "unchanged": self.counts[State.UNCHANGED],
            "failed": self.counts[State.FAILED],
            "failures": self.failures,
            "seconds": round(seconds, 3),
            "images_per_second": round(done / seconds, 2),
            "encoder": spec.encoder,
            "fingerprint": spec.fingerprint,
        }
        # Others change a service's catalog, too.
        answer |= {
            state.value: self.counts[state] for state in (State.SUPERSEDED, State.CANCELED) if self.counts[state]
        }
        answer |= table_columns.as_json_object(self.reading)
        return answer | as_json_object(self.others) | ({"interrupted": True} if self.interrupted else {})

    def _count_refused(self) -> int:
        refused, self._refused = self._refused, []
        for source, outcome in refused:
            self._count(outcome, source.place)
        return len(refused)

    def _count(self, outcome: Outcome, image: str) -> None:
        self.counts[outcome.state] += 1
        if outcome.state is State.FAILED:
            self.failures.append(
                {
                    "product_id": printable(outcome.product_id),
                    "path": printable(image),
                    "code": outcome.code,
                    "message": printable(outcome.message or ""),
                }
            )


def _duplicate(source: Source) -> DuplicateProduct:
    return DuplicateProduct(
        f"{source.place} has the product ID {source.product_id!r} of a file before it: rename one of the two, or tell "
        "them apart with --id name or --id relative."
    )


@click.command("index")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path))
@catalog_option
@data_option
@click.option("--encoder", metavar="NAME", help=f"inception_v3 or efficientnet_lite0.  [default: {DEFAULT_ENCODER}]")
@weights_option
@click.option("--precision", type=click.Choice(get_args(Precision)), help="[default: auto]")
@click.option(
    "--resample",
    type=click.Choice(get_args(Resample)),
    help=f"How pictures are brought to the encoder's size.  [default: {DEFAULT_RESAMPLE}]",
)
@click.option("--recursive", is_flag=True, help="Take folders inside folders, too.")
@click.option(
    "--id",
    "rule",
    type=click.Choice([rule.value for rule in IdRule]),
    default=IdRule.STEM.value,
    show_default=True,
    help="Product ID: the file name without or with extension, or the path inside the folder.",
)
@click.option(
    "--attributes",
    metavar="FILE.csv",
    type=click.Path(path_type=Path),
    help="Attributes by product_id, in place of those a product has; each column can be filtered on.",
)
@column_options
@json_option
@command
def index_command(
    paths: tuple[Path, ...],
    catalog: str,
    data: str | None,
    encoder: str | None,
    weights: str | None,
    precision: Precision | None,
    resample: Resample | None,
    recursive: bool,
    rule: str,
    attributes: Path | None,
    columns: tuple[str, ...],
    encoding: str | None,
    as_json: bool,
) -> None:
    """Make pictures searchable.

    PATH is a folder whose files are named by product ID, a picture, or a CSV or NDJSON list with product_id and
    image_path or image_url. Run it again at any time: a picture that has not changed is not encoded again.
    """
    started = time.monotonic()
    configured = settings.load(data=data, precision=precision)
    check_there([*paths, *([attributes] if attributes else [])])
    with opened_catalogs(configured) as catalogs:
        reading = reading_for(catalogs, catalog, columns, encoding)
        table = attributes_table(attributes, reading) if attributes else None
        found = sources(paths, rule=IdRule(rule), recursive=recursive, without=configured.data, reading=reading)
        reading.check()
        if table:
            found = described(found, table, attributes)
            note_unmatched(table, found, attributes)
        if precision and not isinstance(catalogs, Catalogs):
            raise InvalidInput(
                f"--precision is a matter of the running service {catalogs.url}: leave it out, or set "
                "LOOKALIKE_PRECISION there."
            )
        with stderr().status(display(f"Opening catalog {catalog}")):
            opened = open_or_create(catalogs, catalog, encoder=encoder, weights=weights, resample=resample)
        there = opened.spec.indexed_attributes
        kinds = (
            {name: kind for name, kind in table.table.keys.items() if there.get(name, kind) is kind} if table else {}
        )
        others = opened.declare(kinds) if kinds else {}
        run = index(opened, found, started, title=f"Indexing into {catalog}")
        run.reading = reading
        # The run may have replaced what did not fit.
        run.others = opened.declare(kinds) if others and not run.interrupted else others
        report(run, opened, as_json=as_json)
    if run.counts[State.APPLIED] and not as_json and not run.interrupted:
        _say_what_next(run, catalog, data)
    sys.exit(run.status)


def _say_what_next(run: Run, catalog: str, data: str | None) -> None:
    bad = {failure["product_id"] for failure in run.failures}
    good = next((each.product_id for each in run.sources if printable(each.product_id) not in bad), None)
    if good is None:
        return
    options = ["--product", good]
    options += ["--catalog", catalog] if catalog != "products" else []
    options += ["--data", data] if data else []
    stdout().print(display(f"Next: lookalike search {shlex.join(options)}"), soft_wrap=True)


def index(
    catalog: AnyCatalog,
    found: list[Source],
    started: float,
    *,
    image: Callable[[Source], ImageSource] = _as_named,
    title: str = "Indexing",
) -> Run:
    """Puts the sources into the catalog behind a progress bar. Ctrl-C ends it early and keeps what is done."""
    run = Run(found, started, image)
    with progress() as bar, closing(run.follow(catalog.put(run.changes()))) as steps:
        task = bar.add_task(title, total=len(found))
        try:
            for done in steps:
                bar.advance(task, done)
        except KeyboardInterrupt:
            run.interrupted = True
    return run


def report(run: Run, catalog: AnyCatalog, *, as_json: bool) -> None:
    """Says how a run ended."""
    answer = run.answer(catalog)
    if as_json:
        print_json(answer)
        return
    console = stdout()
    if run.interrupted:
        console.print("Interrupted; what is done is kept, and the same command goes on from here.", style="yellow")
    if run.failures:
        console.print(_failures_table(run.failures))
    counts = ", ".join(f"{answer[state]} {state}" for state in State if state in answer)
    console.print(
        f"{answer['catalog']}: {counts} of {answer['total']} in {answer['seconds']:.1f} s "
        f"({answer['images_per_second']:.1f} images/s, {answer['encoder']})"
    )
    report_columns(console, run.reading)
    report_others(console, run.others)
    if not catalog.trained:
        warn_untrained(console)


def _failures_table(failures: list[dict[str, str | None]]) -> Table:
    rest = len(failures) - SHOWN_FAILURES
    table = Table(
        title="Failed", title_justify="left", caption=f"and {rest} more: --json lists all" if rest > 0 else None
    )
    for column in ("product", "code", "message"):
        table.add_column(column, overflow="fold")
    for failure in failures[:SHOWN_FAILURES]:
        table.add_row(*(display(failure[key] or "") for key in ("product_id", "code", "message")))
    return table
