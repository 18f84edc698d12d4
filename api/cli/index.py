"""`lookalike index`: pictures into a catalog."""

import shlex
import sys
from pathlib import Path
from typing import get_args

import click

from api.cli.columns import column_options, described, note_unmatched, reading_for
from api.cli.output import (
    catalog_option,
    command,
    data_option,
    display,
    json_option,
    stderr,
    stdout,
    weights_option,
)
from api.cli.run import Run, index, report
from api.cli.workspace import open_or_create, opened_catalogs, printable
from services import settings
from services.catalog.catalogs import Catalogs
from services.catalog.removal import MAX_REMOVED
from services.descriptions import Resample
from services.encoders.specs import DEFAULT_ENCODER, DEFAULT_RESAMPLE
from services.errors import InvalidInput
from services.feeds.lists import attributes_table
from services.feeds.names import as_held
from services.feeds.picking import Picking
from services.feeds.source import IdRule
from services.feeds.sources import check_there, sources
from services.records import State
from services.settings import Precision


@click.command("index")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path))
@catalog_option
@data_option
@click.option("--encoder", metavar="NAME", help=f"A network of docs/models.md.  [default: {DEFAULT_ENCODER}]")
@weights_option
@click.option("--precision", type=click.Choice(get_args(Precision)), help="[default: auto]")
@click.option(
    "--resample",
    type=click.Choice(get_args(Resample)),
    help=f"How pictures are brought to the encoder's size.  [default: {DEFAULT_RESAMPLE}]",
)
@click.option("--recursive", is_flag=True, help="Take folders inside folders, too.")
@click.option(
    "--include",
    metavar="GLOB",
    multiple=True,
    help="Take only files of folders that match, whatever their names say otherwise. May be repeated.",
)
@click.option(
    "--exclude", metavar="GLOB", multiple=True, help="Leave out files and folders that match. May be repeated."
)
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
@click.option(
    "--sync",
    is_flag=True,
    help="Remove the products that nothing here names any more, as soon as all is done.",
)
@click.option(
    "--max-removed",
    metavar="SHARE",
    type=click.FloatRange(0, 1),
    help=f"With --sync: if more of the products would go, none does; 1: any number.  [default: {MAX_REMOVED}]",
)
@click.option(
    "--duplicates",
    type=click.Choice(["take", "refuse"]),
    default="take",
    show_default=True,
    help="Whether a new picture that another product shows already, or nearly, is refused.",
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
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    rule: str,
    attributes: Path | None,
    sync: bool,
    max_removed: float | None,
    duplicates: str,
    columns: tuple[str, ...],
    encoding: str | None,
    as_json: bool,
) -> None:
    """Make pictures searchable.

    PATH is a folder whose files are named by product ID, a picture, or a CSV or NDJSON list with product_id and
    image_path or image_url. Run it again at any time: a picture that has not changed is not encoded again.

    Files of folders that are no pictures by their names (Thumbs.db, .txt, hidden ones) are left out and counted, and so
    are folders that systems make for themselves (@eaDir, __MACOSX). A file without an extension of pictures is taken if
    it begins as one. Globs are compared with the name and with the path inside the folder; --exclude wins.

    Product IDs are compared in composed Unicode (NFC).

    With --sync the catalog has what is named here and nothing else: what is left out or not named is removed, and what
    fails stays. Nothing is removed where a row has no product ID, or too much would go.
    """
    if max_removed is not None and not sync:
        raise InvalidInput("--max-removed goes with --sync: without it no product is removed.")
    configured = settings.load(data=data, precision=precision)
    check_there([*paths, *([attributes] if attributes else [])])
    picking = Picking(include, exclude)
    without = [configured.data, *([attributes] if attributes else [])]
    with opened_catalogs(configured) as catalogs:
        reading = reading_for(catalogs, catalog, columns, encoding)
        table = attributes_table(attributes, reading) if attributes else None
        found = sources(
            paths, rule=IdRule(rule), recursive=recursive, without=without, picking=picking, reading=reading
        )
        reading.check()
        if sync and not found:
            raise InvalidInput(
                "Nothing is named here, so --sync would remove every product; remove the catalog instead."
            )
        if table:
            found = described(found, table)
            note_unmatched(table, found, attributes)
        if precision and not isinstance(catalogs, Catalogs):
            raise InvalidInput(
                f"--precision is a matter of the running service {catalogs.url}: leave it out, or set "
                "LOOKALIKE_PRECISION there."
            )
        with stderr().status(display(f"Opening catalog {catalog}")):
            opened = open_or_create(catalogs, catalog, encoder=encoder, weights=weights, resample=resample)
        there = opened.spec.indexed_attributes
        declared = table.table.keys if table else {}
        kinds = {name: kind for name, kind in declared.items() if there.get(name, kind) is kind}
        others = opened.declare(kinds) if kinds else {}
        found, decomposed = as_held(found, opened.held)
        _note_decomposed(decomposed)
        share = (MAX_REMOVED if max_removed is None else max_removed) if sync else None
        run = Run(
            *(found, share),
            reading=reading,
            left_out=picking.left_out,
            decomposed=decomposed,
            refuse_duplicates=duplicates == "refuse",
        )
        index(run, opened, title=f"Indexing into {catalog}")
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


def _note_decomposed(count: int) -> None:
    if count:
        products = "1 product is" if count == 1 else f"{count} products are"
        note = f"{products} in the catalog under another Unicode form of the ID than NFC, and stays so."
        stderr().print(note if count == 1 else note.replace("stays", "stay"), style="yellow", soft_wrap=True)
