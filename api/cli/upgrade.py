"""`lookalike upgrade`: what older versions wrote, brought to the formats of this one."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from api.cli.output import command, data_option, display, json_option, print_json, stdout
from api.servers.assembly import own_redis
from services import bootstrap, settings
from services.formats import Pending
from services.queue.valkey import ValkeyServer
from services.settings import Settings
from services.storage.disk import check_space
from services.storage.folder import check_not_in_use
from services.storage.format import folder_format


@click.command("upgrade")
@click.option("--dry-run", is_flag=True, help="Say what is to be done, and write nothing.")
@data_option
@json_option
@command
def upgrade_command(dry_run: bool, data: str | None, as_json: bool) -> None:
    """Bring what older versions wrote to the formats of this one.

    That is the data folder with its queue, or the Redis and the Qdrant of the settings. `up`, `api` and `worker` do
    this themselves when they start. Stop the service first. Interrupted, run it again.
    """
    configured = settings.load(data=data)
    places = _pending(configured) if dry_run else _upgraded(configured)
    if as_json:
        print_json({"dry_run": dry_run, "places": [asdict(each) for each in places]})
        return
    for each in places:
        if not each.steps:
            stdout().print(display(f"{each.place} has format {each.found}: there is nothing to do."), soft_wrap=True)
            continue
        change = f"would get format {each.current}" if dry_run else f"has format {each.current} now"
        steps = " ".join(each.steps)
        stdout().print(display(f"{each.place} {change}; it was {each.found}. {steps}"), soft_wrap=True)


def _upgraded(configured: Settings) -> list[Pending]:
    """Upgrades everything. Raises `DataLocked` while a service has the data folder."""
    found = []
    with ExitStack() as stack:
        if not _is_shared(configured):
            found.append(folder_format(configured.data.absolute()).pending())
            stack.enter_context(bootstrap.data_folder(configured, create=False))
        redis_url = configured.redis_url or own_redis(configured, stack)
        return found + bootstrap.upgrade(configured, bootstrap.ledger(configured, redis_url))


def _pending(configured: Settings) -> list[Pending]:
    found = []
    if not _is_shared(configured):
        check_not_in_use(configured.data)
        found.append(folder_format(configured.data.absolute()).pending())
    with _queue_to_read(configured) as redis_url:
        return found + bootstrap.upgrade(configured, bootstrap.ledger(configured, redis_url), dry=True)


@contextmanager
def _queue_to_read(configured: Settings) -> Iterator[str]:
    """The URL of the queue; of the data folder's own it is a copy, since a Valkey writes into its folder."""
    if configured.redis_url:
        yield configured.redis_url
        return
    with TemporaryDirectory(prefix="lookalike-") as copy:
        files = configured.data / "queue" / "appendonlydir"
        if files.is_dir():
            check_space(Path(copy), configured.min_free_bytes, sum(each.stat().st_size for each in files.iterdir()))
            shutil.copytree(files, Path(copy) / files.name)
        with ValkeyServer(Path(copy)) as server:
            yield server.url


def _is_shared(configured: Settings) -> bool:
    """Nothing is in the data folder then but perhaps originals."""
    return bool(configured.redis_url and configured.qdrant_url)
