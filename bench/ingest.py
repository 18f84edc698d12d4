"""Indexing a folder against the script that Lookalike replaces: seconds, images a second, memory, and their ratios.

    python bench/ingest.py [--small 200] [--large 1000] [--rounds 3] [--precision float32] [--out FILE]

Both sides run as whole commands on the same folders with the same weights file, in turn, in one go. The marginal
rate is (large - small) / (seconds of large - seconds of small), so that start-up does not count; memory is the
largest private memory (RssAnon) of all the command's processes together, looked at 20 times a second. Method and
caveats are in bench/README.md.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from results import keep

HERE = Path(__file__).parent
LOOKALIKE = Path(sys.executable).parent / "lookalike"


@dataclass(frozen=True)
class Run:
    seconds: float
    megabytes: float


def main() -> None:
    arguments = parsed()
    with tempfile.TemporaryDirectory(prefix="lookalike-bench-") as folder:
        work = Path(folder)
        weights = make_weights(work / "inception_v3.weights.h5")
        counts = (arguments.small, arguments.large)
        pictures = {count: make_pictures(work / f"pictures-{count}", count, arguments.side) for count in counts}
        for side in sides(arguments):  # files and libraries into the cache; not counted
            run(side, pictures[arguments.small], weights, work)
        rounds = [
            {side: {count: run(side, pictures[count], weights, work) for count in counts} for side in sides(arguments)}
            for _ in range(arguments.rounds)
        ]
    result = summary(rounds, arguments.small, arguments.large) | {"side_pixels": arguments.side}
    show(result)
    keep(result, arguments.out)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", type=int, default=200)
    parser.add_argument("--large", type=int, default=1000)
    parser.add_argument("--side", type=int, default=800, help="pixels of a picture's side")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", action="append", choices=["float32", "bfloat16"], help="may be given twice")
    parser.add_argument("--out", type=Path, help="write the result as JSON, too")
    return parser.parse_args()


def sides(arguments: argparse.Namespace) -> list[str]:
    from services.encoders.keras.encoder import has_bfloat16

    possible = ["float32", "bfloat16"] if has_bfloat16() else ["float32"]
    return ["script", *(arguments.precision or possible)]


def make_weights(path: Path) -> Path:
    """InceptionV3 with its classifier, the weights random: what they are does not change the work."""
    code = (
        "import keras; keras.utils.set_random_seed(1); "
        f"keras.applications.InceptionV3(weights=None).save_weights({str(path)!r})"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    return path


def make_pictures(folder: Path, count: int, side: int) -> Path:
    """JPEGs with soft shapes and a little grain, which compress like photographs (about 160 KB at 800 px)."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(count):
        coarse = random.integers(0, 255, (12, 12, 3), dtype=np.uint8)
        smooth = np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC), np.float32)
        grain = random.normal(0, 6, (side, side, 1))
        Image.fromarray(np.clip(smooth + grain, 0, 255).astype(np.uint8)).save(folder / f"{number:05}.jpg", quality=88)
    return folder


def run(side: str, pictures: Path, weights: Path, work: Path) -> Run:
    """One whole command in an empty place."""
    out = work / "out"
    shutil.rmtree(out, ignore_errors=True)
    if side == "script":
        command = [sys.executable, str(HERE / "script.py"), str(pictures), str(weights), str(out)]
    else:
        options = ["--data", str(out), "--weights", str(weights), "--precision", side]
        command = [str(LOOKALIKE), "index", str(pictures), *options]
    ran = watched(command)
    count = sum(1 for _ in pictures.iterdir())
    print(f"{side:9} {count:6} pictures {ran.seconds:8.1f} s {ran.megabytes:8.0f} MB", file=sys.stderr)
    return ran


def watched(command: list[str]) -> Run:
    """A whole command: its time, and the most private memory that it and its children had together."""
    started = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        watch = Watch(process.pid)
        _, errors = process.communicate()
        seconds = time.monotonic() - started
    peak = watch.stop()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{errors.decode()}")
    return Run(seconds, peak)


class Watch:
    """The largest private memory of a process and all that came out of it, in MB."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._peak = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def stop(self) -> float:
        self._done.set()
        self._thread.join()
        return self._peak / 1e6

    def _look(self) -> None:
        while not self._done.wait(0.05):
            self._peak = max(self._peak, sum(private_bytes(pid) for pid in family(self._pid)))


def family(root: int) -> set[int]:
    """A process and its descendants."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def private_bytes(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def summary(rounds: list[dict[str, dict[int, Run]]], small: int, large: int) -> dict[str, object]:
    """Per side the medians over the rounds, and the ratios to the script, taken round by round."""

    def marginal(runs: dict[int, Run]) -> float:
        return (large - small) / (runs[large].seconds - runs[small].seconds)

    def median(values: list[float]) -> float:
        return round(statistics.median(values), 3)

    result: dict[str, object] = {"small": small, "large": large, "rounds": len(rounds)}
    for side in rounds[0]:
        result[side] = {
            "seconds_small": median([each[side][small].seconds for each in rounds]),
            "seconds_large": median([each[side][large].seconds for each in rounds]),
            "marginal_images_per_second": median([marginal(each[side]) for each in rounds]),
            "megabytes_small": median([each[side][small].megabytes for each in rounds]),
            "megabytes_large": median([each[side][large].megabytes for each in rounds]),
            "marginal_ratio": median([marginal(each[side]) / marginal(each["script"]) for each in rounds]),
            "marginal_ratios": [round(marginal(each[side]) / marginal(each["script"]), 3) for each in rounds],
            "small_speedup": median([each["script"][small].seconds / each[side][small].seconds for each in rounds]),
        }
    return result


COLUMNS = {
    "seconds_small": "s small",
    "seconds_large": "s large",
    "marginal_images_per_second": "marginal/s",
    "marginal_ratio": "ratio",
    "small_speedup": "speedup small",
    "megabytes_small": "MB small",
    "megabytes_large": "MB large",
}


def show(result: dict[str, object]) -> None:
    print(f"\nsmall {result['small']}, large {result['large']}, medians of {result['rounds']} rounds")
    print(f"{'':10}" + "".join(f"{title:>15}" for title in COLUMNS.values()))
    for side, row in result.items():
        if isinstance(row, dict):
            print(f"{side:10}" + "".join(f"{row[key]:15.2f}" for key in COLUMNS))


if __name__ == "__main__":
    main()
