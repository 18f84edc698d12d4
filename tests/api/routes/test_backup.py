"""Backups: what was accepted before one began is in it, and what was restored is what was there."""

import io
import json
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from redis import Redis

from services.backup import backup, restore, verified
from services.errors import CatalogExists, Conflict, InvalidSource, LedgerUnavailable
from services.queue.valkey import ValkeyServer
from services.records import ChangeKind, Item, Revision

Members = Iterable[tuple[str, bytes]]
Stored = dict[str, Any]


@pytest.fixture(scope="module")
def other_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Another Valkey, for the service that is restored."""
    with ValkeyServer(tmp_path_factory.mktemp("other")) as server:
        yield server.url


@pytest.fixture
def other(make_service: Callable[..., Any], other_valkey: str) -> Any:
    """A service that has nothing."""
    with Redis.from_url(other_valkey) as client:
        client.flushall()
    return make_service(url=other_valkey)


@pytest.fixture
def stocked(service: Any) -> Any:
    """Two catalogs with products, some changed, some removed, and changes of every kind that wait."""
    service.client.put("/v1/catalogs/shoes", json={"indexed_attributes": {"color": "keyword"}})
    service.catalog("bags", quantization="turbo")
    for color in ("red", "green", "blue", "gray"):
        service.put(color, color, color=color, size={"width": 1.25, "none": None}, tags=["ä", 2**40, True])
    service.put("red", "purple", color="purple")
    assert service.client.delete("/v1/catalogs/shoes/products/gray?wait=30").status_code == 200
    assert service.client.put("/v1/catalogs/bags/products/a%2Fb?wait=30", **png(service, "pink")).status_code == 200
    service.web["https://images.example.com/1.png"] = service.picture("white")
    service.accepted_before("WS-1 ", "https://images.example.com/1.png")
    service.work()
    # Workers of this service hand on bytes, so it is told where one of them was fetched.
    shoes = service.catalogs.get("shoes")
    [red] = [point for point in shoes.points() if point.product_id == "red"]
    at_url = replace(red, url="https://images.example.com/red.png")
    assert shoes._index.revise([Revision(at_url, red.image)]) == [True]
    service.works = False
    service.accepted_before("WS-2\u00a0", "https://images.example.com/1.png")
    feed = [
        {"product_id": "white", "image_url": "https://images.example.com/1.png", "attributes": {"color": "white"}},
        {"product_id": "green", "op": "patch", "attributes": {"color": None, "new": 1}},
        {"product_id": "blue", "op": "delete"},
        {"product_id": "gray", "image_url": "https://images.example.com/1.png"},
        {"product_id": "lost", "image_url": "https://images.example.com/none.png"},
    ]
    assert service.client.post("/v1/catalogs/shoes/products", json=feed).status_code == 202
    assert (
        service.client.put("/v1/catalogs/shoes/products/brown?duplicates=refuse", **png(service, "brown")).status_code
        == 202
    )
    return service


def png(service: Any, color: str) -> dict[str, Any]:
    return {"data": service.picture(color), "content_type": "image/png"}


def stored(service: Any, name: str) -> Stored:
    """All that a service has of a catalog, but for its generation."""
    catalog = service.catalogs.get(name)
    points = {point.product_id: point for point in catalog.points()}
    return {
        "spec": {field: getattr(catalog.spec, field) for field in catalog.spec.__slots__ if field != "generation"},
        "points": points,
        "vectors": {name: np.asarray(point.vector).tolist() for name, point in points.items()},
        "tombstones": {(each.product_id, each.version, each.removed_at) for each in catalog.tombstones()},
        "images": {name: service.media.get(point.image) for name, point in points.items() if point.image},
    }


def waiting(service: Any, name: str) -> list[Any]:
    """The changes that have not ended, in their order."""
    return [(lane, change) for _, lane, change in service.ledger.unfinished(service.catalogs.get(name).spec.id)]


def taken(service: Any, path: Path) -> Path:
    """A backup, as the API gives it."""
    answer = service.client.post("/v1/backup")
    assert (answer.status_code, answer.content_type) == (200, "application/x-tar")
    path.write_bytes(answer.data)
    return path


def put_back(service: Any, path: Path, **options: Any) -> None:
    restore(path, verified(path), service.catalogs, service.ledger, **options)


def test_what_was_accepted_is_there_again(stocked: Any, other: Any, tmp_path: Path) -> None:
    path = taken(stocked, tmp_path / "backup.tar")
    put_back(other, path)
    for name in ("shoes", "bags"):
        assert stored(other, name) == stored(stocked, name)
        assert waiting(other, name) == waiting(stocked, name)
    assert [change.product_id for _, change in waiting(other, "shoes") if change.refuse_duplicates] == ["brown"]
    assert any(point.url for point in stored(other, "shoes")["points"].values())
    kinds = [change.kind for _, change in waiting(other, "shoes")]
    assert len(kinds) == 7 and {*kinds} == {*ChangeKind}
    assert other.catalogs.get("shoes").facets("color") == stocked.catalogs.get("shoes").facets("color")
    other.web |= stocked.web
    for each in (stocked, other):
        each.work()
        each.works = True
    # The delete's tombstone tells when it was done, which is not the same time for both.
    done, again = stored(stocked, "shoes"), stored(other, "shoes")
    assert {each[:2] for each in done.pop("tombstones")} == {each[:2] for each in again.pop("tombstones")}
    assert done == again and {*done["points"]} == {"red", "green", "white", "gray", "brown", "WS-1 ", "WS-2\u00a0"}
    assert failures(other) == failures(stocked) == {("lost", "fetch_not_found")}


def failures(service: Any) -> set[tuple[str, str | None]]:
    jobs, _ = service.ledger.jobs()
    items: list[Item] = [item for job in jobs for item in service.ledger.items(job.id)[0]]
    return {(item.product_id, item.code) for item in items}


@pytest.mark.parametrize("after", [b"changes/", b"catalogs/bags/", b"catalogs/shoes/"])
def test_what_ends_while_a_backup_is_taken_is_in_it(stocked: Any, other: Any, tmp_path: Path, after: bytes) -> None:
    """Read the other way round, products first, it would be in neither part."""
    path = tmp_path / "backup.tar"
    worked = False
    with path.open("wb") as file:
        for part in backup(stocked.catalogs, stocked.ledger):
            file.write(part)
            if part.startswith(after) and not worked:
                stocked.work()
                worked = True
    assert worked and not waiting(stocked, "shoes")
    other.web |= stocked.web
    put_back(other, path)
    other.work()
    assert stored(other, "shoes")["vectors"] == stored(stocked, "shoes")["vectors"]
    assert {(name, point.version) for name, point in stored(other, "shoes")["points"].items()} == {
        (name, point.version) for name, point in stored(stocked, "shoes")["points"].items()
    }


def test_what_is_accepted_after_a_restore_is_newer_than_all_before(stocked: Any, other: Any, tmp_path: Path) -> None:
    """Also where the last versions were those of changes that failed, and left no trace in the index."""
    lost = [{"product_id": f"lost-{n}", "image_url": "https://images.example.com/none.png"} for n in range(20)]
    assert stocked.client.post("/v1/catalogs/shoes/products", json=lost).status_code == 202
    stocked.work()
    assert stocked.client.put("/v1/catalogs/shoes/products/brown", **png(stocked, "pink")).status_code == 202
    put_back(other, taken(stocked, tmp_path / "backup.tar"))
    highest = max(change.version or 0 for _, change in waiting(other, "shoes"))
    other.web |= stocked.web
    other.works = False
    answer = other.client.put("/v1/catalogs/shoes/products/brown", **png(other, "orange"))
    assert answer.status_code == 202
    *_, (_, last) = waiting(other, "shoes")
    assert last.version is not None and last.version > highest
    other.work()
    shown = other.client.get("/v1/catalogs/shoes/products/brown/image").data
    assert shown == other.picture("orange")


def test_cut_off_anywhere_a_restore_goes_on(stocked: Any, other: Any, tmp_path: Path) -> None:
    path = taken(stocked, tmp_path / "backup.tar")
    count = len(members(path))

    def cut(at: int) -> Callable[[Members], Members]:
        def track(found: Members) -> Members:
            for number, member in enumerate(found):
                if number == at:
                    raise KeyboardInterrupt
                yield member

        return track

    for at in range(count):
        with pytest.raises(KeyboardInterrupt):
            put_back(other, path, track=cut(at))
    for _ in range(2):
        put_back(other, path)
        assert stored(other, "shoes") == stored(stocked, "shoes")
    # Each of the two has accepted what waits: at the same versions, so that the second time changes nothing.
    assert waiting(other, "shoes") == 2 * waiting(stocked, "shoes")
    other.web |= stocked.web
    for each in (stocked, other):
        each.work()
    assert stored(other, "shoes")["vectors"] == stored(stocked, "shoes")["vectors"]


def test_a_catalog_that_is_another_or_has_changed_is_left_alone(stocked: Any, other: Any, tmp_path: Path) -> None:
    path = taken(stocked, tmp_path / "backup.tar")
    other.catalog("bags")
    with pytest.raises(CatalogExists, match="bags"):
        put_back(other, path)
    assert other.catalogs.find("shoes") is None
    put_back(stocked, path)  # nothing has changed, so nothing changes
    stocked.work()
    put_back(stocked, path)  # what waited then is done, and that is all
    stocked.works = True
    stocked.put("red", "yellow")
    before = stored(stocked, "shoes")
    with pytest.raises(Conflict, match="shoes is here and has changed"):
        put_back(stocked, path)
    assert stored(stocked, "shoes") == before


def test_a_catalog_that_was_removed_by_mistake_comes_back(stocked: Any, tmp_path: Path) -> None:
    stocked.work()
    path = taken(stocked, tmp_path / "backup.tar")
    before = stored(stocked, "shoes")
    assert stocked.client.delete("/v1/catalogs/shoes").status_code == 204
    put_back(stocked, path)
    assert stored(stocked, "shoes") == before
    stocked.works = True
    stocked.put("red", "yellow")
    assert stocked.client.get("/v1/catalogs/shoes/products/red/image").data == stocked.picture("yellow")


def members(path: Path) -> list[tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(path) as tar:
        return [(each, tar.extractfile(each).read()) for each in tar]  # type: ignore[union-attr]


def test_whatever_is_damaged_is_seen_before_anything_is_done(stocked: Any, other: Any, tmp_path: Path) -> None:
    path = taken(stocked, tmp_path / "backup.tar")
    whole = path.read_bytes()
    kinds = set()
    for about, data in members(path):
        kinds.add(about.name.partition("/")[0].partition("-")[0] + about.name[-8:])
        for at in {0, len(data) // 2, len(data) - 1}:
            flipped = bytearray(whole)
            flipped[about.offset_data + at] ^= 1
            assert_refused(other, path, bytes(flipped))
        # One member less.
        end = about.offset_data + (len(data) + 511) // 512 * 512
        assert_refused(other, path, whole[: about.offset] + whole[end:])
    assert len(kinds) >= 6, kinds
    path.write_bytes(whole)
    put_back(other, path)


def test_a_backup_that_was_broken_off_is_none(stocked: Any, other: Any, tmp_path: Path) -> None:
    path = taken(stocked, tmp_path / "backup.tar")
    whole = path.read_bytes()
    last, data = members(path)[-1]
    for at in [*range(0, last.offset_data, 1531), last.offset_data + len(data) - 1]:
        assert_refused(other, path, whole[:at])


def assert_refused(service: Any, path: Path, data: bytes) -> None:
    path.write_bytes(data)
    with pytest.raises(InvalidSource, match=r"^.{10,300}\.$"):
        put_back(service, path)
    assert service.catalogs.specs() == []


def with_manifest(path: Path, change: dict[str, Any] | None) -> Path:
    """The backup with another manifest, which vouches for itself: some fields changed, or a list (None)."""
    found = members(path)
    with tarfile.open(path, "w") as tar:
        for about, data in found:
            if about.name.startswith("manifest"):
                data = b"[]" if change is None else json.dumps(json.loads(data) | change).encode()
                about.name, about.size = f"manifest-{sha256(data).hexdigest()}.json", len(data)
            tar.addfile(about, io.BytesIO(data))
    return path


@pytest.mark.parametrize("change", [{"format": 3}, {"more": 1}, {"catalogs": [{}]}, None])
def test_a_manifest_of_another_kind_is_refused(stocked: Any, tmp_path: Path, change: dict[str, Any] | None) -> None:
    path = with_manifest(taken(stocked, tmp_path / "backup.tar"), change)
    with pytest.raises(InvalidSource):
        verified(path)


def test_a_backup_of_a_newer_version_is_refused(stocked: Any, other: Any, tmp_path: Path) -> None:
    """Also where that version has fields that this one does not know."""
    change = {"format": 3, "made_by": "0.9.0", "more": 1}
    path = with_manifest(taken(stocked, tmp_path / "backup.tar"), change)
    with pytest.raises(InvalidSource) as caught:
        put_back(other, path)
    assert str(caught.value) == (
        f"{path} is a backup of format 3 made by Lookalike 0.9.0, and this version reads formats up to 2: restore "
        "it with that version."
    )
    assert other.catalogs.specs() == []


@pytest.mark.parametrize("name", ["more.json", "../more", "changes/00000002.jsonl"])
def test_a_member_that_the_manifest_does_not_name_is_refused(stocked: Any, tmp_path: Path, name: str) -> None:
    path = tmp_path / "backup.tar"
    found = members(taken(stocked, path))
    more = tarfile.TarInfo(name)
    with tarfile.open(path, "w") as tar:
        tar.addfile(more, io.BytesIO(b""))
        for about, data in found:
            tar.addfile(about, io.BytesIO(data))
    with pytest.raises(InvalidSource, match=name):
        verified(path)


def test_what_is_no_backup_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    for data in (b"", b"x" * 10_000, bytes(10_240)):
        path.write_bytes(data)
        with pytest.raises(InvalidSource):
            verified(path)
    for other_path in (tmp_path, tmp_path / "none.tar"):
        with pytest.raises(InvalidSource, match="cannot be read"):
            verified(other_path)


def test_a_backup_that_cannot_begin_is_a_problem(make_service: Any, tmp_path: Path) -> None:
    with ValkeyServer(tmp_path / "valkey") as server:
        service = make_service(url=server.url)
        service.catalog()
    answer = service.client.post("/v1/backup")
    assert (answer.status_code, answer.json["code"]) == (503, LedgerUnavailable.code)


def test_one_without_catalogs_is_a_backup(other: Any, tmp_path: Path) -> None:
    path = taken(other, tmp_path / "backup.tar")
    assert (verified(path).catalogs, len(members(path))) == ([], 1)
    put_back(other, path)


def test_a_backup_comes_over_the_wire(server: Any, tmp_path: Path) -> None:
    path = tmp_path / "backup.tar"
    status, headers, path_bytes = server.send("POST", "/v1/backup")
    path.write_bytes(path_bytes)
    assert (status, headers["Content-Type"]) == (200, "application/x-tar")
    assert [each.name for each in verified(path).catalogs] == ["shoes"]
