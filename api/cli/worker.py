"""`lookalike worker`: one process that embeds images for a service whose queue is a Redis elsewhere."""

import os
import re
from contextlib import ExitStack

import click

from api.cli.output import command, data_option, stdout
from api.servers.assembly import needed_redis, upgrade_at_start
from services import settings
from services.errors import InvalidSetting

DEVICE = re.compile(r"cpu|gpu:[0-9]{1,2}")
VISIBLE = "CUDA_VISIBLE_DEVICES"


@click.command("worker")
@data_option
@click.option("--concurrency", metavar="N", type=click.IntRange(1, 64), help="Batches at a time.  [default: 3]")
@click.option(
    "--device", metavar="D", default="cpu", show_default=True, help="cpu, or gpu:0 for the first GPU, and so on."
)
@command
def worker_command(data: str | None, concurrency: int | None, device: str) -> None:
    """Run a worker: it takes changes from the queue in LOOKALIKE_REDIS_URL.

    One process for each device. SIGTERM or Ctrl-C ends it: its batches are finished, or requeued after 20
    seconds, or at once at a second Ctrl-C.
    """
    from services.telemetry.logs import configure

    configured = settings.load(data=data, concurrency=concurrency)
    configure(configured.log_format, configured.log_level)
    needed_redis(configured)
    choose(device)
    serve(configured)


def choose(device: str) -> None:
    """Has TensorFlow see this device only; GPUs are counted among those that the process may see already.

    Raises `InvalidSetting` where there is none.
    """
    if not DEVICE.fullmatch(device):
        raise InvalidSetting(f"--device {device} is no device; take cpu, or gpu:0 for the first GPU.")
    if device == "cpu":
        os.environ[VISIBLE] = "-1"
        return
    # CUDA reads it once, so it is set before TensorFlow is imported.
    os.environ[VISIBLE] = _visible(device, os.environ.get(VISIBLE))
    from services import bootstrap

    obstacle = bootstrap.gpus().obstacle()
    if obstacle:
        raise InvalidSetting(f"--device {device}: {obstacle}")


def _visible(device: str, visible: str | None) -> str:
    """What CUDA calls the GPU, where `visible` is what CUDA_VISIBLE_DEVICES was."""
    number = int(device.partition(":")[2])
    if visible is None:
        return str(number)
    names = [name.strip() for name in visible.split(",")]
    if number >= len(names):
        raise InvalidSetting(
            f"--device {device}: {VISIBLE}={visible} leaves this process {len(names)} of the GPUs, counted from gpu:0."
        )
    return names[number]


def serve(configured: settings.Settings) -> None:
    """Works until a signal ends it."""
    from services import bootstrap
    from services.ledger import Chores
    from services.telemetry.metrics import Metrics
    from workers.app import run
    from workers.worker import Worker

    metrics = Metrics()
    with ExitStack() as stack:
        ledger = bootstrap.ledger(configured, configured.redis_url)
        catalogs = stack.enter_context(
            bootstrap.catalogs(configured, observe=metrics.observe, exclusive=ledger.exclusive)
        )
        metrics.watch(ledger)
        if configured.metrics_port:
            stack.callback(metrics.serve(configured.metrics_host, configured.metrics_port))
        upgrade_at_start(configured, ledger)
        worker = Worker.configured(configured, bootstrap.claims(configured, ledger), catalogs)

        def ready() -> None:
            stdout().print(f"Worker {worker.id} is ready.", soft_wrap=True)

        run(worker, Chores(ledger.store), catalogs, configured, configured.redis_url, ready=ready)
