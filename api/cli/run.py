"""A run of a command over sources: what it did to a catalog, and how that is told."""

import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Any

from rich.progress import Progress as Bar
from rich.table import Table

from api.cli import columns
from api.cli.main import INTERRUPTED
from api.cli.other_kinds import as_json_object, report_others
from api.cli.output import SHOWN_FAILURES, display, print_json, progress, stdout, warn_untrained
from api.cli.workspace import AnyCatalog, printable
from services.catalog.catalog import Catalog
from services.catalog.removal import LINES_WITHOUT_ID, TOO_MANY, Names
from services.errors import DuplicateProduct
from services.feeds.lists import Reading
from services.feeds.picking import said
from services.feeds.source import Source
from services.records import Change, ImageSource, OtherKinds, Outcome, Progress, State, failed


def _as_named(source: Source) -> ImageSource:
    return source.image


@dataclass
class Run:
    """One run over sources, and its counts.

    `image` gives the pictures of sources; `others` are products with values of other kinds than those of indexed
    attributes; `reading` has the tables that were read; `left_out` counts entries of folders that were no pictures;
    `decomposed` are products that the catalog has under another form of their IDs; with `refuse_duplicates` a picture
    that another product shows is a failure. `seconds` are those of the work
    itself: from the first picture on, without the time in which the encoder was loaded.

    With `max_removed`, a share of the catalog's products, those that no source names are removed in the end: `removed`
    of them, and `not_removed` says why not all.
    """

    sources: list[Source]
    max_removed: float | None = None
    image: Callable[[Source], ImageSource] = _as_named
    counts: dict[State, int] = field(default_factory=lambda: dict.fromkeys(State, 0))
    failures: list[dict[str, str | None]] = field(default_factory=list)
    interrupted: bool = False
    job: str | None = None
    seconds: float = 0.0
    removed: int = 0
    not_removed: str | None = None
    others: Mapping[str, OtherKinds] = field(default_factory=dict)
    reading: Reading = field(default_factory=Reading)
    left_out: Counter[str] = field(default_factory=Counter)
    decomposed: int = 0
    refuse_duplicates: bool = False
    _places: dict[str, str] = field(default_factory=dict)

    def changes(self) -> Iterator[Change]:
        """What the catalog is to take; the second file with one product ID is refused, and so are wrong rows."""
        for source in self.sources:
            fault = source.fault or _duplicate(source, self._places.get(source.product_id))
            if fault:
                self.counts[State.FAILED] += 1
                self._note(failed(source.product_id, fault), source.place)
                continue
            self._places[source.product_id] = source.place
            yield Change(
                source.product_id,
                image=self.image(source),
                attributes=source.attributes,
                refuse_duplicates=self.refuse_duplicates,
            )

    @property
    def is_sync(self) -> bool:
        """Whether products that no source names are to be removed."""
        return self.max_removed is not None

    def kept(self) -> Iterator[str]:
        """The products of sources that are no changes."""
        return (source.product_id for source in self.sources if source.fault and source.product_id)

    def count(self, step: Progress) -> None:
        """Counts what has ended."""
        for state, count in step.counts.items():
            self.counts[state] += count
        for outcome in step.failures:
            self._note(outcome, self._places.get(outcome.product_id, ""))
        self.job = step.job or self.job
        self.removed += step.removed
        self.not_removed = step.not_removed or self.not_removed

    @property
    def done(self) -> int:
        return sum(self.counts.values())

    @property
    def rate(self) -> float:
        """Images per second; of what was canceled there are none."""
        return (self.done - self.counts[State.CANCELED]) / self.seconds if self.seconds else 0.0

    @property
    def status(self) -> int:
        """The exit status: 0 all done, 1 some failed or were canceled or not removed, 130 interrupted."""
        left = self.counts[State.FAILED] or self.counts[State.CANCELED] or self.not_removed
        return INTERRUPTED if self.interrupted else int(bool(left))

    def answer(self, catalog: AnyCatalog) -> dict[str, Any]:
        """The JSON object of the command."""
        spec = catalog.spec
        answer = {
            "catalog": spec.name,
            "total": len(self.sources) + self.removed,
            "applied": self.counts[State.APPLIED],
            "unchanged": self.counts[State.UNCHANGED],
            "failed": self.counts[State.FAILED],
            "failures": self.failures,
            "left_out": {printable(what): count for what, count in self.left_out.most_common()},
            "seconds": round(self.seconds, 3),
            "images_per_second": round(self.rate, 2),
            "encoder": spec.encoder,
            "features": spec.features,
            "fingerprint": spec.fingerprint,
        }
        # Others change a service's catalog, too.
        answer |= {
            state.value: self.counts[state] for state in (State.SUPERSEDED, State.CANCELED) if self.counts[state]
        }
        answer |= {"decomposed": self.decomposed} if self.decomposed else {}
        answer |= {"job": self.job} if self.job else {}
        answer |= {"removed": self.removed, "not_removed": self.not_removed} if self.is_sync else {}
        answer |= columns.as_json_object(self.reading)
        return answer | as_json_object(self.others) | ({"interrupted": True} if self.interrupted else {})

    def _note(self, outcome: Outcome, place: str) -> None:
        message, code = outcome.message or "", outcome.code or ""
        # A service does not know the file.
        if code.startswith("image_") and not message.startswith(place):
            message = f"{place}: {message}"
        self.failures.append(
            {
                "product_id": printable(outcome.product_id),
                "path": printable(place),
                "code": code,
                "message": printable(message),
            }
        )


def _duplicate(source: Source, before: str | None) -> DuplicateProduct | None:
    if before is None:
        return None
    if source.row:
        return DuplicateProduct(
            f"{source.row} names product {source.product_id!r} again, after {before}: leave one of the two."
        )
    return DuplicateProduct(
        f"{source.place} has the product ID {source.product_id!r} of a file before it: rename one of the two, or tell "
        "them apart with --id name or --id relative."
    )


def index(run: Run, catalog: AnyCatalog, *, title: str = "Indexing") -> None:
    """Puts the sources of a run into the catalog behind a progress bar. Ctrl-C ends it early and keeps what is done."""
    loading, started = _loading_seconds(catalog), time.monotonic()
    with progress() as bar, closing(_put(catalog, run)) as steps:
        task = bar.add_task(title, total=len(run.sources))
        try:
            for step in steps:
                run.count(step)
                _advance(bar, step.uploaded, len(run.sources))
                bar.update(task, completed=run.done, total=max(len(run.sources), run.done))
        except KeyboardInterrupt:
            run.interrupted = True
            # Where the signal came between two steps, those who made them do not know of it yet.
            with suppress(KeyboardInterrupt, StopIteration):
                run.count(steps.throw(KeyboardInterrupt()))
                for step in steps:
                    run.count(step)
    run.seconds = time.monotonic() - started - (_loading_seconds(catalog) - loading)


def _put(catalog: AnyCatalog, run: Run) -> Generator[Progress, None, None]:
    """Puts the sources: into a catalog of this process one by one, into that of a service as one job."""
    max_removed = run.max_removed
    if any(source.fault and not source.product_id for source in run.sources):
        # Whose row that is nobody knows, so it may be that of any product.
        max_removed = None
        yield Progress(not_removed=LINES_WITHOUT_ID if run.is_sync else None)
    if not isinstance(catalog, Catalog):
        from api.client.feed import Sync

        yield from catalog.feed(run.changes(), None if max_removed is None else Sync(run.kept, max_removed))
        return
    since = None if max_removed is None else catalog.begin()
    for outcome in catalog.put(run.changes()):
        yield Progress({outcome.state: 1}, (outcome,) if outcome.state is State.FAILED else ())
    if since and max_removed is not None:
        names = Names.of(source.product_id for source in run.sources)
        done = catalog.remove_unnamed(names, since, max_removed=max_removed)
        yield Progress({State.APPLIED: done.removed}, removed=done.removed, not_removed=done.not_removed)


def _loading_seconds(catalog: AnyCatalog) -> float:
    """Seconds that were no work on pictures; how long a service loads its encoder is not known here."""
    return catalog.loading_seconds if isinstance(catalog, Catalog) else 0.0


def _advance(bar: Bar, uploaded: int, total: int) -> None:
    if not uploaded:
        return
    title = "Uploading pictures"
    task = next((each.id for each in bar.tasks if each.description == title), None)
    bar.advance(bar.add_task(title, total=total) if task is None else task, uploaded)


def report(run: Run, catalog: AnyCatalog, *, as_json: bool) -> None:
    """Says how a run ended."""
    answer = run.answer(catalog)
    if as_json:
        print_json(answer)
        return
    console = stdout()
    if run.interrupted:
        console.print(f"Interrupted; {_kept(run, catalog)}, and the same command goes on from here.", style="yellow")
    if run.failures:
        console.print(_failures_table(run.failures))
    counts = ", ".join(f"{answer[state]} {state}" for state in State if state in answer)
    console.print(
        f"{answer['catalog']}: {counts} of {answer['total']} in {answer['seconds']:.1f} s "
        f"({answer['images_per_second']:.1f} images/s, {answer['encoder']})"
    )
    if run.removed:
        products = "1 product was" if run.removed == 1 else f"{run.removed} products were"
        console.print(f"{products} removed: nothing here names {'it' if run.removed == 1 else 'them'} any more.")
    if run.not_removed:
        console.print(_why_not_removed(run), style="yellow", soft_wrap=True)
    if run.left_out:
        console.print(display(f"Left out of folders: {said(run.left_out)}"), soft_wrap=True)
    columns.report_columns(console, run.reading)
    report_others(console, run.others)
    if not catalog.trained:
        warn_untrained(console)


def _why_not_removed(run: Run) -> str:
    reasons = {
        TOO_MANY: f"more than {run.max_removed:.0%} of the products would go; check the source, or raise --max-removed",
        LINES_WITHOUT_ID: "some rows have no product ID, so it is not known which products they name; correct them",
    }
    begin = "Not all was removed that nothing here names" if run.removed else "Nothing was removed"
    return f"{begin}: {reasons.get(run.not_removed or '', run.not_removed)}."


def _kept(run: Run, catalog: AnyCatalog) -> str:
    if isinstance(catalog, Catalog):
        return "what is done is kept"
    if run.job is None:
        return "nothing was accepted yet, pictures that were uploaded stay for two days at least"
    return f"what waited of job {run.job} is canceled, what is done is kept"


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
