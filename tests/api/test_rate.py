"""A feed of 100,000 lines is accepted quickly and does not sit in memory."""

import http.client
import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

LINES = 100_000


def body(lines: int) -> Iterator[bytes]:
    for number in range(lines):
        attributes = {"color": "red", "price": number / 100, "brand": "Acme", "tags": ["a", "b"]}
        url = f"https://images.example.com/catalog/{number}/front.jpg"
        yield json.dumps({"product_id": f"sku-{number}", "image_url": url, "attributes": attributes}).encode() + b"\n"


def resident(server: Any, kind: str) -> int:
    """Bytes of memory of the server's processes: VmRSS now, VmHWM at most so far."""
    children = subprocess.run(["pgrep", "-P", str(server.process.pid)], capture_output=True, text=True, check=False)
    total = 0
    for pid in (server.process.pid, *children.stdout.split()):
        found = re.search(rf"^{kind}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.M)
        total += 1024 * int(found[1]) if found else 0
    return total


def send(server: Any, data: bytes, query: str = "") -> tuple[int, Any, float]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=300)
    started = time.monotonic()
    path = f"/v1/catalogs/shoes/products{query}"
    connection.request("POST", path, data, {"Content-Type": "application/x-ndjson"})
    answer = connection.getresponse()
    told = json.loads(answer.read())
    connection.close()
    return answer.status, told, time.monotonic() - started


@pytest.mark.nightly
def test_a_feed_of_100_000_lines_is_accepted_at_5_000_a_second(server: Any, record_property: Any) -> None:
    send(server, b"".join(body(1000)))
    data = b"".join(body(LINES))
    before = resident(server, "VmRSS")
    status, job, seconds = send(server, data)
    grown = resident(server, "VmHWM") - before
    record_property("lines_per_second", round(LINES / seconds))
    record_property("grown_mb", grown >> 20)
    assert (status, job["total"]) == (202, LINES)
    assert LINES / seconds >= 5000, f"{LINES / seconds:.0f} lines a second"
    assert grown < 100 << 20, f"{grown >> 20} MB more memory"


@pytest.mark.nightly
def test_a_feed_of_200_mb_does_not_sit_in_memory(server: Any) -> None:
    """It is refused for its last line, so all of it was read, judged and spooled."""
    line = next(body(1))
    pad = json.dumps({"pad": "x" * 20_000}).encode()
    line = line.replace(b'{"color": "red"', b'{"pad": ' + pad + b', "color": "red"')
    data = line * (200_000_000 // len(line)) + b"{\n"
    send(server, b"".join(body(1000)))
    before = resident(server, "VmRSS")
    status, problem, _ = send(server, data)
    assert (status, problem["code"], problem["error_count"]) == (422, "feed_invalid", 1)
    assert resident(server, "VmHWM") - before < 100 << 20
