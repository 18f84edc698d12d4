"""`lookalike backup` and `lookalike restore`: all that a service has, to one file and back."""

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from api.cli.other_kinds import described, report_others
from api.cli.output import command, data_option, display, json_option, print_json, progress, stdout
from api.cli.workspace import printable
from api.routes.backup import FILE
from api.servers.assembly import own_redis
from services import bootstrap, settings
from services.archive.staged import staged
from services.backup import Manifest, backup, restore, verified
from services.catalog.catalogs import Catalogs
from services.ledger import Ledger
from services.settings import Settings
from services.storage.folder import service_url


@click.command("backup")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@data_option
@json_option
@command
def backup_command(folder: Path, data: str | None, as_json: bool) -> None:
    """Write everything into one new file in DIR.

    All catalogs with vectors, versions and originals, and what was accepted and is not done yet. Where a service runs
    it is asked for it and goes on working. The file appears when it is whole and has been read again.
    """
    started = time.monotonic()
    configured = settings.load(data=data)
    target = folder / FILE.format(datetime.now(UTC))
    with staged(target) as [file], _backed_up(configured) as parts:
        with progress() as bar:
            for part in bar.track(parts, description="Backing up"):
                file.write(part)
        file.flush()
        manifest = verified(Path(file.name))
        size = file.tell()
    answer = _answer(manifest, target, started) | {"bytes": size}
    if as_json:
        print_json(answer)
        return
    stdout().print(display(f"{_counts(manifest)} in {answer['seconds']:.1f} s to"), soft_wrap=True)
    stdout().print(display(answer["file"]), soft_wrap=True)


@click.command("restore")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@data_option
@json_option
@command
def restore_command(file: Path, data: str | None, as_json: bool) -> None:
    """Put back what a backup has.

    FILE is what `backup` or POST /v1/backup wrote. The whole of it is checked first, and nothing is done where one of
    its catalogs is here already and has changed since. Stop the service first; started again it does what was not done
    when the backup was taken. Interrupted, run it again.
    """
    started = time.monotonic()
    configured = settings.load(data=data)
    manifest = verified(file)
    with _opened(configured) as (catalogs, ledger), progress() as bar:
        total = len(manifest.members) + manifest.originals + 1
        others = restore(
            file, manifest, catalogs, ledger, lambda members: bar.track(members, total, description="Restoring")
        )
    answer = _answer(manifest, file, started)
    if others:
        answer["other_kinds"] = {name: described(found) for name, found in others.items()}
    if as_json:
        print_json(answer)
        return
    stdout().print(display(f"{_counts(manifest)} restored in {answer['seconds']:.1f} s"), soft_wrap=True)
    for name, found in others.items():
        report_others(stdout(), found, f"{name}: ")


@contextmanager
def _backed_up(configured: Settings) -> Iterator[Iterator[bytes]]:
    if url := configured.service_url or service_url(configured.data):
        from api.client.connection import Client

        client = Client(url, configured.api_key.get_secret_value())
        try:
            with client.stream("POST", "/v1/backup") as parts:
                yield parts
        finally:
            client.close()
        return
    with _opened(configured, create=False) as (catalogs, ledger):
        yield backup(catalogs, ledger)


@contextmanager
def _opened(configured: Settings, *, create: bool = True) -> Iterator[tuple[Catalogs, Ledger]]:
    """Catalogs and ledger where the settings say they are. Raises `DataLocked` while a service has the data folder."""
    # What waited when it was backed up may wait again.
    configured = configured.model_copy(update={"max_waiting": sys.maxsize})
    with ExitStack() as stack:
        is_server = bool(configured.redis_url and configured.qdrant_url)
        folder = None if is_server else stack.enter_context(bootstrap.data_folder(configured, create=create))
        redis_url = configured.redis_url or own_redis(configured, stack)
        ledger = bootstrap.ledger(configured, redis_url)
        ledger.store.upgrade()
        yield stack.enter_context(bootstrap.catalogs(configured, folder=folder, exclusive=ledger.exclusive)), ledger


def _answer(manifest: Manifest, file: Path, started: float) -> dict[str, Any]:
    return {
        "file": printable(file),
        "created_at": manifest.created_at,
        "catalogs": [each.name for each in manifest.catalogs],
        "products": manifest.products,
        "originals": manifest.originals,
        "changes": manifest.changes,
        "seconds": round(time.monotonic() - started, 3),
    }


def _counts(manifest: Manifest) -> str:
    return (
        f"{len(manifest.catalogs)} catalogs with {manifest.products} products, {manifest.originals} originals, and "
        f"{manifest.changes} changes that are not done yet"
    )
