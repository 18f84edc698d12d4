"""From a picture to a vector that can be found, against the encoder alone: how well fetching, decoding and writing hide
behind encoding. And whether memory stays flat.

    python bench/pipeline.py [--small 100] [--large 500] [--rounds 3] [--few 1000] [--many 20000]
        [--precision float32] [--out FILE]

A round takes the rate of `lookalike index` on a folder between `--small` and `--large` pictures, then that of a feed of
`--large` URLs on a local server through `lookalike up`; and that of the encoder alone (encode.py) before, between and
after them. Ratios are taken round by round, to the mean of the two rates around. Memory is the largest private memory
(RssAnon) of all processes of `lookalike index` with efficientnet_lite0 on `--few` and `--many` pictures (links to the
same ones, so that the disk holds them); what the vectors take on the disk is told apart. Method and caveats are in
bench/README.md.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from encode import precisions
from ingest import LOOKALIKE, Run, make_pictures, make_weights, watched
from results import keep
from service import make_catalog, picture_server, put_feed, serving

ALONE_SECONDS = 6.0


def main() -> None:
    arguments = parsed()
    result: dict[str, Any] = {"small": arguments.small, "large": arguments.large, "precisions": {}}
    with tempfile.TemporaryDirectory(prefix="lookalike-bench-") as folder:
        work = Path(folder)
        weights = make_weights(work / "inception_v3.weights.h5")
        large = make_pictures(work / "large", arguments.large, arguments.side)
        small = linked(large, work / "small", arguments.small)
        images = [path.read_bytes() for path in sorted(large.iterdir())]
        for precision in arguments.precision or precisions():
            rounds = []
            for _ in range(arguments.rounds):
                before = encoder_alone(precision, arguments.batch)
                counts = arguments.large - arguments.small
                seconds = [index(each, work / "out", weights, precision).seconds for each in (small, large)]
                between = encoder_alone(precision, arguments.batch)
                from_urls = through_service(images, work / "service", precision)
                alone = (before, between, encoder_alone(precision, arguments.batch))
                rounds.append(row(alone, counts / (seconds[1] - seconds[0]), from_urls))
                print(precision, rounds[-1], file=sys.stderr, flush=True)
            result["precisions"][precision] = rounds
        if arguments.many:
            few = linked(large, work / "few", arguments.few)
            many = linked(large, work / "many", arguments.many)
            result["memory"] = {len([*each.iterdir()]): memory(each, work / "out") for each in (few, many)}
    show(result)
    keep(result, arguments.out)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", type=int, default=100)
    parser.add_argument("--large", type=int, default=500)
    parser.add_argument("--side", type=int, default=800, help="pixels of a picture's side")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--few", type=int, default=1000, help="pictures that the memory's run is compared with")
    parser.add_argument("--many", type=int, default=20_000, help="pictures of the memory's run; 0: none")
    parser.add_argument("--batch", type=int, default=64, help="images of a batch of the encoder alone")
    parser.add_argument("--precision", action="append", choices=["float32", "bfloat16"], help="may be given twice")
    parser.add_argument("--out", type=Path, help="write the result as JSON, too")
    return parser.parse_args()


def linked(pictures: Path, folder: Path, count: int) -> Path:
    """A folder of so many pictures: those of another one, again and again."""
    folder.mkdir()
    found = sorted(pictures.iterdir())
    for number in range(count):
        (folder / f"{number:06}.jpg").hardlink_to(found[number % len(found)])
    return folder


def encoder_alone(precision: str, batch: int) -> float:
    """Images a second."""
    options = ["--alone", precision, "--rounds", "1", "--seconds", str(ALONE_SECONDS), "--batch", str(batch)]
    command = [sys.executable, str(Path(__file__).with_name("encode.py")), *options]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    [rate] = json.loads(answer.stdout)["images_per_second"]
    return float(rate)


def index(pictures: Path, out: Path, weights: Path, precision: str) -> Run:
    shutil.rmtree(out, ignore_errors=True)
    options = ["--data", str(out), "--weights", str(weights), "--precision", precision]
    return watched([str(LOOKALIKE), "index", str(pictures), *options])


def through_service(images: list[bytes], data: Path, precision: str) -> float:
    """Images a second of a feed of URLs; the encoder is loaded and everything has run once before."""
    shutil.rmtree(data, ignore_errors=True)
    environment = {"LOOKALIKE_FETCH_ALLOW": "127.0.0.1", "LOOKALIKE_PRECISION": precision}
    command = [str(LOOKALIKE), "up", "--port", "0", "--data", str(data)]
    with picture_server(images) as url, serving(command, environment) as (_, client):
        for name, count in (("warm", min(64, len(images))), ("measured", len(images))):
            make_catalog(client, name, "inception_v3")
            seconds = put_feed(client, name, url, count)
    return len(images) / seconds


def memory(pictures: Path, out: Path) -> dict[str, float]:
    """MB of private memory at most, and of the vectors on the disk."""
    shutil.rmtree(out, ignore_errors=True)
    options = ["--data", str(out), "--encoder", "efficientnet_lite0"]
    run = watched([str(LOOKALIKE), "index", str(pictures), *options])
    stored = sum(each.stat().st_blocks * 512 for each in (out / "catalogs").rglob("*") if each.is_file())
    return {"private_megabytes": round(run.megabytes, 1), "vectors_on_disk_megabytes": round(stored / 1e6, 1)}


def row(alone: tuple[float, float, float], from_folder: float, from_urls: float) -> dict[str, float]:
    """`alone`: the encoder's rates before the folder, between it and the URLs, and after those."""
    before, between, after = alone
    return {
        "alone_per_second": round(sum(alone) / 3, 1),
        "folder_per_second": round(from_folder, 1),
        "folder_ratio": round(2 * from_folder / (before + between), 3),
        "urls_per_second": round(from_urls, 1),
        "urls_ratio": round(2 * from_urls / (between + after), 3),
    }


def show(result: dict[str, Any]) -> None:
    for precision, rounds in result["precisions"].items():
        for way in ("folder", "urls"):
            ratios = [each[f"{way}_ratio"] for each in rounds]
            print(f"{precision}, {way} against the encoder alone: {statistics.median(ratios)} of {ratios}")
    for count, each in result.get("memory", {}).items():
        print(
            f"{count:6} pictures: {each['private_megabytes']} MB private, "
            f"{each['vectors_on_disk_megabytes']} MB of vectors on the disk"
        )


if __name__ == "__main__":
    main()
