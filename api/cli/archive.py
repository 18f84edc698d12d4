"""`lookalike export` and `lookalike import`: a catalog's features to files and back."""

import sys
import time
from pathlib import Path
from typing import Any, get_args

import click

from api.cli.output import (
    SHOWN_FAILURES,
    catalog_option,
    command,
    data_option,
    display,
    json_option,
    print_json,
    progress,
    stdout,
    warn_untrained,
    weights_option,
)
from api.cli.workspace import own_catalog, printable, product_ids
from services import bootstrap, settings
from services.archive.archive import About, Archive, Format, check_fit, checked, claimed
from services.archive.formats import formats, read
from services.catalog.catalog import Catalog
from services.catalog.catalogs import Catalogs
from services.catalog.opening import new_spec
from services.descriptions import CatalogSpec, Resample
from services.encoders.specs import DEFAULT_ENCODER, DEFAULT_RESAMPLE, checked_spec
from services.errors import EncoderMismatch
from services.records import Outcome, State


@click.command("export")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "name",
    type=click.Choice(["script", "npz", "parquet"]),
    required=True,
    help="img_embeddings.txt and indexes.txt as the replaced script wrote them, without attributes; or one file.",
)
@catalog_option
@data_option
@json_option
@command
def export_command(folder: Path, name: str, catalog: str, data: str | None, as_json: bool) -> None:
    """Write a catalog's features to files.

    They are the raw features, not brought to length one. An earlier export there is replaced when all is written.
    """
    started = time.monotonic()
    with own_catalog(data, catalog) as opened:
        count = opened.count()
        files = export(opened, formats()[name], folder, count)
    seconds = round(time.monotonic() - started, 3)
    if as_json:
        paths = [printable(file) for file in files]
        print_json({"catalog": catalog, "format": name, "products": count, "files": paths, "seconds": seconds})
    else:
        stdout().print(f"{catalog}: {count} products exported in {seconds:.1f} s to")
        for file in files:
            stdout().print(display(printable(file)), soft_wrap=True)


def export(catalog: Catalog, format: Format, folder: Path, count: int) -> list[Path]:
    """Looks at all product IDs before the first feature is written."""
    for product_id in product_ids(catalog):
        format.check(product_id)
    with progress() as bar:
        embeddings = bar.track(catalog.embeddings(), total=count, description=f"Exporting {catalog.spec.name}")
        return format.write(embeddings, folder, catalog.spec, count)


@click.command("import")
@click.argument("path", metavar="PATH", type=click.Path(path_type=Path))
@catalog_option
@data_option
@click.option(
    "--encoder",
    metavar="NAME",
    help=f"What made the features, where PATH does not say.  [default: {DEFAULT_ENCODER}]",
)
@weights_option
@click.option(
    "--resample",
    type=click.Choice(get_args(Resample)),
    help=f"How pictures were brought to the encoder's size.  [default: {DEFAULT_RESAMPLE}]",
)
@json_option
@command
def import_command(
    path: Path,
    catalog: str,
    data: str | None,
    encoder: str | None,
    weights: str | None,
    resample: Resample | None,
    as_json: bool,
) -> None:
    """Make exported features searchable.

    Nothing is encoded.

    PATH is a folder with the replaced script's img_embeddings.txt and indexes.txt, a .npz or a Parquet file. The
    whole of it is checked before anything is written.
    """
    started = time.monotonic()
    configured = settings.load(data=data)
    archive = read(path)
    weights = weights and checked_spec(weights)
    about = claimed(archive.about, encoder=encoder, weights=weights, resample=resample)
    with bootstrap.catalogs(configured) as catalogs:
        opened = _target(catalogs, archive, about, catalog)
        total, failures = _put(opened, archive)
        answer = _answer(opened.spec, archive, total, failures, time.monotonic() - started)
        if as_json:
            print_json(answer)
        else:
            _report(answer, about, opened)
    sys.exit(int(bool(answer["failed"])))


def _target(catalogs: Catalogs, archive: Archive, about: About, name: str) -> Catalog:
    """The catalog to import into. A new one is made only when the whole archive is sound."""
    found = catalogs.find(name)
    if found is None and about.features == "tuned":
        raise EncoderMismatch(
            f"{archive.path} holds tuned features, which only the catalog can search that has learned them: import it "
            "into that one, or move a catalog with `lookalike backup` or `lookalike migrate`."
        )
    spec = found or new_spec(name, about.encoder, about.weights, about.resample, about.fingerprint)
    check_fit(archive, about, spec)
    _check(archive)
    if found:
        return catalogs.get(name)
    catalog = catalogs.create(spec)
    catalog.declare(about.indexed_attributes)
    return catalog


def _check(archive: Archive) -> None:
    with progress() as bar:
        for _ in bar.track(checked(archive), total=archive.rows, description="Checking"):
            pass


def _put(catalog: Catalog, archive: Archive) -> tuple[int, list[Outcome]]:
    """How many outcomes there were, and those that failed."""
    total = 0
    failures = []
    with progress() as bar:
        description = f"Importing into {catalog.spec.name}"
        outcomes = catalog.put_embeddings(checked(archive))
        for outcome in bar.track(outcomes, total=archive.rows, description=description):
            total += 1
            if outcome.state is State.FAILED:
                failures.append(outcome)
    return total, failures


def _answer(spec: CatalogSpec, archive: Archive, total: int, failures: list[Outcome], seconds: float) -> dict[str, Any]:
    return {
        "catalog": spec.name,
        "format": archive.format,
        "total": total,
        "applied": total - len(failures),
        "failed": len(failures),
        "failures": [_failure(outcome) for outcome in failures],
        "repaired": archive.repaired,
        "seconds": round(seconds, 3),
        "encoder": spec.encoder,
        "features": spec.features,
        "fingerprint": spec.fingerprint,
    }


def _failure(outcome: Outcome) -> dict[str, str | None]:
    message = printable(outcome.message or "")
    return {"product_id": printable(outcome.product_id), "code": outcome.code, "message": message}


def _report(answer: dict[str, Any], about: About, catalog: Catalog) -> None:
    console = stdout()
    for failure in answer["failures"][:SHOWN_FAILURES]:
        console.print(display("{product_id}: {message} ({code})".format_map(failure)), style="red", soft_wrap=True)
    if answer["failed"] > SHOWN_FAILURES:
        console.print(f"and {answer['failed'] - SHOWN_FAILURES} more: --json lists all")
    if answer["repaired"]:
        console.print(
            f"Repaired: {answer['repaired']} of {answer['total']} numbers were not those of their rows, since the "
            "script counts files that it could not read; each product now has its own row.",
            style="yellow",
            soft_wrap=True,
        )
    if about.fingerprint is None:
        made_by = f"{about.encoder} ({about.weights} weights, {about.resample})"
        note = f"The archive does not say what made its features: on your word they are taken to come from {made_by}."
        console.print(display(note), style="yellow", soft_wrap=True)
    console.print(
        f"{answer['catalog']}: {answer['applied']} of {answer['total']} products imported, "
        f"{answer['failed']} failed, in {answer['seconds']:.1f} s ({answer['encoder']})"
    )
    if not catalog.trained:
        warn_untrained(console)
