"""`lookalike worker` with a stub in place of the encoder: python stub_worker.py REDIS_URL SECONDS_PER_BATCH PATIENCE

The rest is told by LOOKALIKE_*. It says `ready` on stdout.
"""

import signal
import sys

from services import bootstrap, settings
from services.descriptions import Features, Resample
from services.ledger import Chores
from services.settings import Settings
from services.telemetry import logs
from services.testing import StubEncoder, load_stub
from workers.app import run
from workers.upkeep import Timings
from workers.worker import Worker


def main() -> None:
    # Who starts the tests may ignore them (nohup does), and children inherit that.
    for number in (signal.SIGQUIT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    redis_url, seconds, patience = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])

    def load(name: str, weights: str, resample: Resample, settings: Settings, features: Features) -> StubEncoder:
        encoder = load_stub(name, weights, resample, settings, features)
        encoder.seconds_per_batch = seconds
        return encoder

    given = settings.load()
    logs.configure(given.log_format, given.log_level)
    with bootstrap.catalogs(given, load=load) as catalogs:
        ledger = bootstrap.ledger(given, redis_url)
        worker = Worker.configured(given, bootstrap.claims(given, ledger), catalogs)

        def ready() -> None:
            sys.stdout.write("ready\n")
            sys.stdout.flush()

        # Tests kill the worker that leads, and others must notice.
        timings = Timings(lead=2.0)
        run(worker, Chores(ledger.store), catalogs, given, redis_url, ready=ready, patience=patience, timings=timings)


if __name__ == "__main__":
    main()
