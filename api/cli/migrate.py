"""`lookalike migrate`: a catalog from the index that it has to another one."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from api.cli.other_kinds import as_json_object, report_others
from api.cli.output import catalog_option, command, data_option, display, json_option, print_json, progress, stdout
from services import bootstrap, settings
from services.catalog.catalogs import Catalogs
from services.catalog.objects import objects
from services.errors import InvalidSetting
from services.records import OtherKinds
from services.settings import Settings


@click.command("migrate")
@click.option(
    "--to", metavar="PLACE", required=True, help="URL of a Qdrant server (http://...), or another data folder."
)
@catalog_option
@data_option
@json_option
@command
def migrate_command(to: str, catalog: str, data: str | None, as_json: bool) -> None:
    """Copy a catalog to a Qdrant server, or from one to a data folder.

    It comes from where the settings say: the server in LOOKALIKE_QDRANT_URL, else the data folder. Vectors, attributes,
    versions and removals are copied as they are, and to a data folder the originals, too. Stop the service first; what
    is there stays there. Run again, it goes on where it was.
    """
    started = time.monotonic()
    source = settings.load(data=data)
    with bootstrap.catalogs(source, create=False) as here, bootstrap.catalogs(_target(source, to)) as there:
        answer, others = migrate(here, there, catalog)
    answer |= {"to": to, "seconds": round(time.monotonic() - started, 3)}
    if as_json:
        print_json(answer | as_json_object(others))
        return
    counts = f"{answer['products']} products and {answer['tombstones']} removals"
    stdout().print(display(f"{catalog}: {counts} are at {to} now, in {answer['seconds']:.1f} s"), soft_wrap=True)
    report_others(stdout(), others)


def migrate(here: Catalogs, there: Catalogs, name: str) -> tuple[dict[str, Any], Mapping[str, OtherKinds]]:
    """Copies a catalog; tells what the copy has, and which products have values of other kinds than the declared ones.

    Raises `CatalogExists`, `EncoderMismatch`, `Conflict`, `FeaturesNotFound`.
    """
    source = here.get(name)
    originals = here.intake.media
    # Read first: without it, nothing is to be made there.
    kept = [data for _, data in objects(originals, source.spec)]
    target = there.adopt(source.spec)
    there.intake.media.sign()
    for each in kept:
        there.intake.check_space(len(each))
        there.intake.media.put_object(each)
    with progress() as bar:
        points = bar.track(source.points(), total=source.count(), description=f"Copying {name}")
        products = target.copy(points, None if originals.place == there.intake.media.place else originals)
    tombstones = target.copy(source.tombstones())
    target.check_copy(source)
    declared = source.spec.indexed_attributes
    others = target.declare(declared) if declared else {}
    return {"catalog": name, "products": products, "tombstones": tombstones}, others


def _target(source: Settings, to: str) -> Settings:
    """The settings of where a catalog goes. Raises `InvalidSetting` for where it is."""
    is_server = "://" in to
    if to == source.qdrant_url or (not source.qdrant_url and not is_server and _same(Path(to), source.data)):
        raise InvalidSetting(f"--to {to} is where the catalog is: name another place.")
    if is_server:
        return settings.load(**source.model_dump(exclude_unset=True) | {"qdrant_url": to, "data": source.data})
    return source.model_copy(update={"qdrant_url": "", "media": "", "data": Path(to)})


def _same(one: Path, other: Path) -> bool:
    return one.absolute() == other.absolute()
