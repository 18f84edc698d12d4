"""Makes what is kept under v0.1/, with the code of that version: see README.md for how to run it.

The files that are kept must not be made again by newer code: they stand for what is on the disks of users.
"""

import io
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

LOOKALIKE = Path(sys.executable).with_name("lookalike")
DECADES = str(3_000_000_000)
ENVIRONMENT = {
    "LOOKALIKE_PRECISION": "float32",
    "LOOKALIKE_FETCH_ALLOW": "127.0.0.1",
    # Seconds, as long as the kept jobs are to be found; the default is a day.
    "LOOKALIKE_JOB_RETENTION": DECADES,
}
COLORS = {"red": (215, 40, 40), "green": (40, 190, 60), "blue": (40, 60, 215)}
PORT = 8097
URL = f"http://127.0.0.1:{PORT}"
SILENT = ("127.0.0.1", 8098)
"""Where nobody listens, and later somebody who takes connections and never answers."""


def main() -> None:
    work, kept = Path("work"), Path(__file__).parent / "v0.1"
    work.mkdir()
    draw(work / "pictures")
    (work / "attributes.csv").write_text(
        "product_id,color,price\n" + "".join(f"{color}-{n},{color},{n}.5\n" for color in COLORS for n in range(3))
    )
    lookalike(
        "index", "work/pictures", "--catalog", "shoes", "--encoder", "efficientnet_lite0", "--attributes",
        "work/attributes.csv", "--data", "work/data",
    )  # fmt: skip
    lookalike("remove", "blue-2", "--catalog", "shoes", "--yes", "--data", "work/data")
    seen = serve()
    clean(work / "data")
    lookalike("backup", "work", "--data", "work/data")
    seen |= look(work / "data")
    clean(work / "data")
    kept.mkdir(exist_ok=True)
    [backup] = work.glob("lookalike-*.tar")
    shutil.move(backup, kept / "backup.tar")
    pack(work / "data", kept / "data.tar.xz")
    np.savez_compressed(kept / "vectors.npz", **seen.pop("vectors"))
    (kept / "expected.json").write_text(json.dumps(seen, indent=1, sort_keys=True) + "\n")


def draw(folder: Path) -> None:
    folder.mkdir()
    for color in COLORS:
        for number in range(3):
            (folder / f"{color}-{number}.jpg").write_bytes(picture(color, number))


def picture(color: str, number: int, side: int = 64) -> bytes:
    random = np.random.default_rng([number, len(color)])
    y, x = np.mgrid[:side, :side]
    pixels = np.full((side, side, 3), 200.0)
    for _ in range(3):
        cx, cy = random.integers(side // 5, side * 4 // 5, 2)
        pixels[(x - cx) ** 2 + (y - cy) ** 2 < (side // 6) ** 2] = COLORS[color]
    out = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(out, "JPEG", quality=80)
    return out.getvalue()


def lookalike(*arguments: str) -> None:
    subprocess.run([LOOKALIKE, *arguments], check=True, env=os.environ | ENVIRONMENT)


def serve() -> dict[str, Any]:
    """Has a service take changes that end, that fail and that wait; says what it answered."""
    process = subprocess.Popen(
        [LOOKALIKE, "up", "--port", str(PORT), "--data", "work/data"], env=os.environ | ENVIRONMENT
    )
    until(lambda: status("GET", "/readyz") == 200)
    ask("PUT", "/v1/catalogs/shoes", {"indexed_attributes": {"color": "keyword", "price": "float"}})
    products = "/v1/catalogs/shoes/products"
    ask("PATCH", f"{products}/red-1?wait=30", {"attributes": {"size": {"width": 1.25}, "tags": ["ä", 2**40, True]}})
    ask("GET", f"{products}/red-0/thumbnail")
    failing = [
        {"product_id": f"lost-{n}", "image_url": f"http://{SILENT[0]}:{SILENT[1]}/{n}.jpg", "attributes": {"n": n}}
        for n in range(2)
    ]
    feed = [*failing, {"product_id": "green-0", "op": "patch", "attributes": {"sale": True}}]
    keyed = {"Idempotency-Key": "nightly-1"}
    job = ask("POST", products, feed, keyed)["id"]
    until(lambda: ask("GET", f"/v1/jobs/{job}")["finished_at"] is not None)
    listener = socket.create_server(SILENT)
    threading.Thread(target=hold, args=(listener,), daemon=True).start()
    # Changes of a product wait for its first one, whose image does not come.
    late = {"product_id": "late", "image_url": f"http://{SILENT[0]}:{SILENT[1]}/late.jpg", "attributes": {"n": 1}}
    held = {"product_id": "red-0", "image_url": f"http://{SILENT[0]}:{SILENT[1]}/red.jpg"}
    gone = {"product_id": "blue-0", "image_url": f"http://{SILENT[0]}:{SILENT[1]}/blue.jpg"}
    first = ask("POST", products, [late, held, gone])["id"]
    until(lambda: ask("GET", "/v1/stats")["in_flight"] == 3)
    waiting = [
        {"product_id": "red-0", "op": "patch", "attributes": {"color": "crimson", "price": None}},
        {"product_id": "blue-0", "op": "delete"},
    ]
    second = ask("POST", products, waiting)["id"]
    third = send("PUT", f"{products}/late", picture("green", 7), {"Content-Type": "image/jpeg"})["id"]
    for _ in range(2):
        process.send_signal(2)
        time.sleep(1)
    process.wait(60)
    listener.close()
    feed_text = json.dumps(feed)
    return {"key": "nightly-1", "key_job": job, "feed": feed_text, "waiting_jobs": [first, second, third]}


def hold(listener: socket.socket) -> None:
    held = []
    while True:
        try:
            held.append(listener.accept())
        except OSError:
            return


def send(method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Any:
    request = urllib.request.Request(URL + path, body, headers or {}, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        data = answer.read()
        return json.loads(data) if "json" in answer.headers["Content-Type"] else data


def ask(method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    return send(method, path, data, {"Content-Type": "application/json"} | (headers or {}))


def status(method: str, path: str) -> int:
    try:
        send(method, path)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0
    return 200


def until(condition: Any) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def look(data: Path) -> dict[str, Any]:
    """What the library finds in the folder, and in its queue, which is written anew as text."""
    from services.valkey import ValkeyServer

    from services import bootstrap, settings

    given = settings.load(data=data, precision="float32")
    with bootstrap.catalogs(given) as catalogs:
        catalog = catalogs.get("shoes")
        points = sorted(catalog.points(), key=lambda point: point.product_id)
        seen: dict[str, Any] = {
            "spec": {name: getattr(catalog.spec, name) for name in catalog.spec.__slots__},
            "products": {
                point.product_id: {
                    "version": point.version, "norm": point.norm, "attributes": point.attributes, "image": point.image,
                }
                for point in points
            },
            "vectors": {point.product_id: point.vector for point in points},
            "tombstones": [[each.product_id, each.version, each.removed_at] for each in catalog.tombstones()],
            "neighbors": {
                point.product_id: [[each.product_id, each.score] for each in catalog.neighbors(point.product_id)]
                for point in points
            },
        }  # fmt: skip
        with ValkeyServer(data / "queue") as server:
            ledger = bootstrap.ledger(given, server.url)
            redis = ledger._redis
            # Who worked on it, with the names of the machine and of processes; it has ended.
            ledger.expire(everything=True)
            redis.delete(*[key for key in redis.keys("*") if not key.startswith(b"la:")])
            redis.delete("la:workers", "la:drains", "la:upkeep", *redis.keys("la:due:*"), *redis.keys("la:ended:*"))
            redis.delete(*redis.keys("la:paused:*"), "la:paused:")
            for key in redis.keys("la:key:*"):
                redis.persist(key)  # it would be forgotten after a day
            jobs, _ = ledger.jobs()
            seen["jobs"] = {each.id: {name: getattr(each, name) for name in each.__slots__} for each in jobs}
            seen["failed"] = {
                each.id: [[item.product_id, item.code, item.message, item.image] for item in ledger.items(each.id)[0]]
                for each in jobs
            }
            seen["unfinished"] = [
                [job, lane, {name: told(getattr(change, name)) for name in change.__slots__}]
                for job, lane, change in ledger.unfinished(catalog.spec.id)
            ]
            redis.config_set("aof-use-rdb-preamble", "no")
            redis.bgrewriteaof()
            until(lambda: not redis.info("persistence")["aof_rewrite_in_progress"])
    return seen


def told(value: Any) -> Any:
    return repr(value) if type(value).__name__ in ("RemoteImage", "StoredImage") else value


def clean(data: Path) -> None:
    """Without what says which processes worked on it, and where."""
    for path in (data / "lock", data / "queue/lock", data / "queue/valkey.pid", data / "queue/valkey.log"):
        path.unlink(missing_ok=True)


def pack(data: Path, target: Path) -> None:
    """Its index has files of megabytes that are nearly empty; unpacked they take no room on the disk either."""
    owner = ["--owner=0", "--group=0", "--numeric-owner", "--sort=name"]
    subprocess.run(["tar", "--sparse", *owner, "-C", data.parent, "-cJf", target, data.name], check=True)


if __name__ == "__main__":
    main()
