"""`lookalike reindex`, `generations`, `compare`, `promote`, `rollback` and `drop`: another encoder for a catalog."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click
from rich.table import Table

from api.cli.output import (
    catalog_option,
    command,
    data_option,
    display,
    features_option,
    json_option,
    print_json,
    progress,
    stderr,
    stdout,
    weights_option,
)
from api.cli.sheet import write_comparison
from api.cli.workspace import AnyCatalogs, opened_catalogs, printable
from services import settings
from services.catalog.catalogs import Catalogs
from services.catalog.generations import Generations, described
from services.catalog.opening import CatalogOptions
from services.catalog.passes import Pass, Watch
from services.descriptions import Features, Generation, Quantization, Resample
from services.encoders.specs import checked_spec
from services.errors import GenerationNotFound

if TYPE_CHECKING:
    from api.client.generations import RemoteGenerations

AnyGenerations: TypeAlias = "Generations | RemoteGenerations"

SHOWN = 20

missing_option = click.option(
    "--allow-missing", is_flag=True, help="Switch although it lacks products, which the catalog then has no more."
)
generation_argument = click.argument("generation", required=False)


@click.command("reindex")
@catalog_option
@click.option("--encoder", metavar="NAME", help="A network of docs/models.md.  [default: the catalog's]")
@weights_option
@click.option(
    "--resample",
    type=click.Choice(["nearest", "bilinear", "bicubic", "lanczos"]),
    help="How pictures are resized.  [default: the catalog's]",
)
@features_option
@click.option(
    "--quantization",
    type=click.Choice(["none", "scalar", "turbo"]),
    help="How vectors are compressed.  [default: the catalog's]",
)
@click.option("--promote", "promotes", is_flag=True, help="Search it when it is built.")
@missing_option
@data_option
@json_option
@command
def reindex_command(
    catalog: str,
    encoder: str | None,
    weights: str | None,
    resample: Resample | None,
    features: Features | None,
    quantization: Quantization | None,
    promotes: bool,
    allow_missing: bool,
    data: str | None,
    as_json: bool,
) -> None:
    """Build the next generation of a catalog with another encoder.

    The catalog answers as before until the generation is promoted. All pictures are encoded again, from the originals
    that are kept, or from their URLs. Run it again to go on after Ctrl-C.
    """
    started = time.monotonic()
    with _opened(data, catalog) as (catalogs, generations):
        options: CatalogOptions = {
            "encoder": encoder,
            "weights": checked_spec(weights) if weights else None,
            "resample": resample,
            "features": features,
            "quantization": quantization,
        }
        with _watched(catalogs, catalog, "Building the next generation") as watch:
            id, done = generations.reindex(options, promote=promotes, allow_missing=allow_missing, watch=watch)
        answer = _described(generations, id) | _told(done)
    answer |= {"catalog": catalog, "promoted": promotes, "seconds": round(time.monotonic() - started, 3)}
    if as_json:
        print_json(answer)
    else:
        state = "live now" if promotes else f"built; `lookalike promote --catalog {catalog}` switches to it"
        stdout().print(display(f"{catalog}: {answer['products']} products in generation {id}, {state}"), soft_wrap=True)
        _report(done)
    sys.exit(int(done.missing > 0))


@click.command("generations")
@catalog_option
@data_option
@json_option
@command
def generations_command(catalog: str, data: str | None, as_json: bool) -> None:
    """List the live generation of a catalog and the kept ones."""
    with _opened(data, catalog) as (_, generations):
        rows = [_row(*each) for each in generations.counted()]
    if as_json:
        print_json({"catalog": catalog, "generations": rows})
        return
    for row in rows:
        # No table: an ID has to be copied in one piece, also from a narrow terminal.
        stdout().print(display(f"{row['id']}  {row['state']}"), soft_wrap=True)
        made = f"{row['encoder']} {row['features']}, {Path(row['weights']).name}, {row['resample']}"
        made += f", quantization {row['quantization']}"
        stdout().print(display(f"  {row['products'] or 0} products, {made}"), soft_wrap=True)
        if row["drop_at"]:
            stdout().print(display(f"  kept until {row['drop_at']}"), soft_wrap=True)


@click.command("compare")
@generation_argument
@catalog_option
@click.option("--sample", metavar="N", type=click.IntRange(1, 10_000), default=100, show_default=True, help="Products.")
@click.option(
    "--html", metavar="FILE", type=click.Path(path_type=Path), help="Write what both find as a contact sheet."
)
@data_option
@json_option
@command
def compare_command(
    generation: str | None, catalog: str, sample: int, html: Path | None, data: str | None, as_json: bool
) -> None:
    """Compare what another generation finds with what the live one finds.

    GENERATION is the next one, or the only other one, if it is left out.
    """
    with _opened(data, catalog) as (catalogs, generations):
        other = generation or generations.candidate()
        found = generations.compare(other, sample=sample)
        if html:
            names = {each.id: f"{each.encoder} {each.features}" for each in generations.all()}
            write_comparison(html, catalogs.get(catalog), found, names[other])
    if as_json:
        common = {str(rank): round(share, 4) for rank, share in found.common.items()}
        answer = {"catalog": catalog, "generation": other, "sample": found.sample, "common": common}
        print_json(answer | {"missing": [printable(each) for each in found.missing]})
        return
    shares = ", ".join(f"{share:.0%} of the first {rank}" for rank, share in found.common.items())
    if html:
        stderr().print(display(f"Wrote {html}"), soft_wrap=True)
    stdout().print(f"{catalog}: of {found.sample} products, both find {shares or 'nothing'}", soft_wrap=True)
    if found.missing:
        stdout().print(display(f"Missing: {', '.join(found.missing[:SHOWN])}"), style="yellow", soft_wrap=True)


@click.command("promote")
@generation_argument
@catalog_option
@missing_option
@data_option
@json_option
@command
def promote_command(generation: str | None, catalog: str, allow_missing: bool, data: str | None, as_json: bool) -> None:
    """Make another generation the one that is searched.

    GENERATION is the next one, or the only other one, if it is left out. What it lacks is encoded first. The one that
    was searched is kept for a day (LOOKALIKE_GENERATION_KEEP).
    """
    _switch(
        data, catalog, as_json, lambda found, watch: found.promote(generation, allow_missing=allow_missing, watch=watch)
    )


@click.command("rollback")
@catalog_option
@missing_option
@data_option
@json_option
@command
def rollback_command(catalog: str, allow_missing: bool, data: str | None, as_json: bool) -> None:
    """Go back to the generation that was searched before."""
    _switch(data, catalog, as_json, lambda found, watch: found.rollback(allow_missing=allow_missing, watch=watch))


@click.command("drop")
@generation_argument
@catalog_option
@data_option
@json_option
@command
def drop_command(generation: str | None, catalog: str, data: str | None, as_json: bool) -> None:
    """Remove a generation with its vectors.

    GENERATION is the next one, or the only one beside the live one, if it is left out.
    """
    with _opened(data, catalog) as (_, generations):
        dropped = generation or generations.candidate()
        generations.drop(dropped)
    if as_json:
        print_json({"catalog": catalog, "dropped": dropped})
    else:
        stdout().print(display(f"{catalog}: generation {dropped} is gone"), soft_wrap=True)


def _switch(data: str | None, catalog: str, as_json: bool, switch: Callable[[AnyGenerations, Watch], Pass]) -> None:
    with _opened(data, catalog) as (catalogs, generations):
        with _watched(catalogs, catalog, "Catching up") as watch:
            done = switch(generations, watch)
        live, products = generations.counted()[0]
        answer = _row(live, products)
    if as_json:
        print_json({"catalog": catalog} | answer | _told(done))
        return
    stdout().print(
        display(f"{catalog}: {answer['encoder']} {answer['features']} answers now, from generation {answer['id']}"),
        soft_wrap=True,
    )
    _report(done)


@contextmanager
def _opened(data: str | None, catalog: str) -> Iterator[tuple[AnyCatalogs, AnyGenerations]]:
    """The catalogs, and the generations of one: of a running service, or of the data folder, where what is due is
    dropped. Raises `CatalogNotFound`."""
    configured = settings.load(data=data)
    with opened_catalogs(configured, create=False) as catalogs:
        if not isinstance(catalogs, Catalogs):
            yield catalogs, catalogs.generations(catalog)
            return
        generations = Generations(
            catalogs, catalog, keep_seconds=configured.generation_keep, page=configured.batch_size
        )
        generations.tend()
        yield catalogs, generations


@contextmanager
def _watched(catalogs: AnyCatalogs, catalog: str, title: str) -> Iterator[Watch]:
    """A progress bar, begun anew with each pass."""
    with progress() as bar:
        task = bar.add_task(title, total=catalogs.get(catalog).count())
        yield lambda done: bar.update(task, completed=done.products, description=_doing(title, done))


def _doing(title: str, done: Pass) -> str:
    return f"Learning from {done.learned} pictures" if done.learned else title


def _described(generations: AnyGenerations, id: str) -> dict[str, Any]:
    for each, products in generations.counted():
        if each.id == id:
            return _row(each, products)
    raise GenerationNotFound(f"Generation {id} was dropped meanwhile.")


def _row(generation: Generation, products: int | None) -> dict[str, Any]:
    return described(generation) | {"products": products}


def _told(done: Pass) -> dict[str, Any]:
    return {
        "missing": done.missing,
        "changed": [printable(each) for each in done.changed],
        "faults": [
            {"product_id": printable(each.product_id), "code": each.code, "message": printable(each.message or "")}
            for each in done.examples
        ],
    }


def _report(done: Pass) -> None:
    if done.changed:
        said = f"Another picture is at the URL of {', '.join(done.changed[:SHOWN])}; the catalog has it now."
        stdout().print(display(said), style="yellow", soft_wrap=True)
    if not done.missing:
        return
    table = Table(title=f"{done.missing} products are missing there", title_justify="left")
    for column in ("product", "code", "message"):
        table.add_column(column, overflow="fold")
    for each in done.examples[:SHOWN]:
        table.add_row(*(display(text or "") for text in (each.product_id, each.code, each.message)))
    stdout().print(table)
