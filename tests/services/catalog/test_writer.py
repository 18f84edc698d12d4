"""What `Catalog.apply` promises for one batch, whoever else is at work."""

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.catalog.catalog import Catalog
from services.errors import (
    Closed,
    DataFull,
    DecodingUnavailable,
    DuplicateProduct,
    EncoderError,
    FetchFailed,
    FetchNotFound,
    IndexUnavailable,
)
from services.images.decoder import Decoder, decode_hashed
from services.images.intake import Intake
from services.images.limits import Limits
from services.index.vector_index import VectorIndex
from services.records import Change, ChangeKind, Outcome, Point, RemoteImage, State, StoredImage, Tombstone
from services.storage.media import Media
from services.testing import MemoryIndex, StubEncoder, StubFetcher, picture

PICTURES = {
    "red": picture((220, 30, 30)),
    "green": picture((30, 200, 40)),
    "blue": picture((30, 40, 210)),
}
RED, GREEN, BLUE = PICTURES.values()
URL = "https://shop.example/red.png"

memory_only = pytest.mark.parametrize("index", ["memory"], indirect=True)
lawful = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def put(product_id: str, image: Any, attributes: Any = None, version: int | None = None) -> Change:
    return Change(product_id, image=image, attributes=attributes, version=version)


def patch(product_id: str, attributes: Any = None, version: int | None = None, image: Any = None) -> Change:
    return Change(product_id, ChangeKind.PATCH, image, attributes, version)


def delete(product_id: str, version: int | None = None) -> Change:
    return Change(product_id, ChangeKind.DELETE, version=version)


def ended(catalog: Catalog, *changes: Change) -> list[str]:
    """The state of each, or the code of a failed one."""
    return [outcome.code or outcome.state.value for outcome in catalog.apply(changes)]


def hash_of(image: bytes) -> str:
    return sha256(image).hexdigest()


class Meddled:
    """An index in which another writer is at work right before a call of `name`, so many times."""

    def __init__(self, index: VectorIndex, name: str, meddle: Callable[[VectorIndex], None], times: int = 1) -> None:
        self._index, self._name, self._meddle, self._times = index, name, meddle, times

    def __getattr__(self, name: str) -> Any:
        if name == self._name and self._times:
            self._times -= 1
            self._meddle(self._index)
        return getattr(self._index, name)


# order ----------------------------------------------------------------------------------------------------------


def test_outcomes_come_in_the_order_of_the_changes(catalog: Catalog) -> None:
    catalog.apply([put("b", RED, version=1), put("d", GREEN, version=9)])
    changes = [
        put("a", b"no image", version=2),
        put("b", RED, version=3),
        put("c", GREEN, version=4),
        put("d", GREEN, version=5),
        delete("e", 6),
        patch("f", {}, 7),
    ]
    outcomes = catalog.apply(changes)
    assert [outcome.product_id for outcome in outcomes] == list("abcdef")
    assert [outcome.state for outcome in outcomes] == [
        State.FAILED, State.UNCHANGED, State.APPLIED, State.SUPERSEDED, State.UNCHANGED, State.FAILED
    ]  # fmt: skip


def test_an_older_change_is_superseded_without_fetching_or_encoding(
    catalog: Catalog, fetcher: StubFetcher, encoder: StubEncoder
) -> None:
    fetcher.images[URL] = RED
    catalog.apply([put("a", GREEN, {"n": 5}, 5), delete("b", 5)])
    encoded = encoder.encoded
    assert ended(catalog, put("a", RemoteImage(URL), version=4), put("b", RemoteImage(URL), version=4)) == [
        "superseded", "superseded"
    ]  # fmt: skip
    assert ended(catalog, patch("a", {"n": 4}, 4)) == ended(catalog, delete("a", 4)) == ["superseded"]
    assert not fetcher.fetched
    assert encoder.encoded == encoded
    assert catalog.get("a").attributes == {"n": 5}


def test_a_redelivered_change_is_applied_without_fetching_or_encoding(
    catalog: Catalog, fetcher: StubFetcher, encoder: StubEncoder, index: VectorIndex
) -> None:
    fetcher.images[URL] = RED
    batch = [put("a", RemoteImage(URL), {"n": 1}, 1), put("b", RemoteImage(URL), version=2), delete("c", 3)]
    catalog.apply(batch)
    catalog.apply([patch("b", {"n": 2}, 4)])
    before = [index.get(["a", "b"]), index.versions(["a", "b", "c"]), fetcher.fetched[URL], encoder.encoded]
    assert ended(catalog, *batch) == ["applied", "superseded", "applied"]
    assert before == [index.get(["a", "b"]), index.versions(["a", "b", "c"]), fetcher.fetched[URL], encoder.encoded]


def test_two_changes_of_a_product_make_no_batch(catalog: Catalog) -> None:
    with pytest.raises(DuplicateProduct, match="'a'"):
        catalog.apply([put("a", RED, version=1), put("b", RED, version=2), delete("a", 3)])
    assert catalog.count() == 0


# kinds of changes -----------------------------------------------------------------------------------------------


def test_a_delete_leaves_a_tombstone_even_of_nothing_so_that_a_slow_writer_comes_too_late(
    catalog: Catalog, index: VectorIndex
) -> None:
    catalog.apply([put("a", RED, version=1)])
    now = time.time()
    assert ended(catalog, delete("a", 5), delete("b", 6)) == ["applied", "unchanged"]
    tombstones = sorted(index.tombstones(before=now + 60), key=lambda each: each.version)
    assert [(each.product_id, each.version) for each in tombstones] == [("a", 5), ("b", 6)]
    assert all(abs(each.removed_at - now) < 60 for each in tombstones)
    assert index.upsert([Point("b", 4, np.eye(48, dtype=np.float32)[0])]) == [False]
    assert ended(catalog, put("a", RED, version=4), put("b", RED, version=4)) == ["superseded", "superseded"]
    assert catalog.count() == 0


def test_a_patch_merges_attributes_and_keeps_the_vector(catalog: Catalog, index: VectorIndex) -> None:
    catalog.apply([put("a", RED, {"x": {"y": 1, "z": 2}, "w": 3}, 1)])
    [before] = index.get(["a"], vectors=True)
    assert ended(catalog, patch("a", {"x": {"y": None, "v": 4}}, 2)) == ["applied"]
    assert ended(catalog, patch("a", {"w": 3, "u": None}, 3)) == ["unchanged"]
    [after] = index.get(["a"], vectors=True)
    assert before and after and before.vector is not None and after.vector is not None
    assert after == replace(before, version=3, attributes={"x": {"z": 2, "v": 4}, "w": 3})
    np.testing.assert_array_equal(before.vector, after.vector)


def test_a_patch_with_an_image_is_encoded_and_merges(catalog: Catalog, index: VectorIndex) -> None:
    catalog.apply([put("a", RED, {"x": 1}, 1), put("b", RED, {"x": 1}, 1)])
    assert ended(catalog, patch("a", {"y": 2}, 2, BLUE), patch("b", None, 2, BLUE)) == ["applied", "applied"]
    assert [catalog.get(each).attributes for each in "ab"] == [{"x": 1, "y": 2}, {"x": 1}]
    assert {each.image for each in index.get(["a", "b"]) if each} == {hash_of(BLUE)}


def test_a_patch_of_nothing_fails_and_fetches_nothing(catalog: Catalog, fetcher: StubFetcher) -> None:
    catalog.apply([put("gone", RED, version=1)])
    catalog.apply([delete("gone", 2)])
    changes = [patch("a", {"n": 1}, 3), patch("b", {}, 3, RemoteImage(URL)), patch("gone", {"n": 1}, 3)]
    assert ended(catalog, *changes) == ["product_not_found"] * 3
    assert not fetcher.fetched
    assert catalog.count() == 0


def test_attributes_that_are_no_json_fail_their_change_only(catalog: Catalog) -> None:
    catalog.apply([put("a", RED, {"n": 1}, 1)])
    nan = {"n": float("nan")}
    assert ended(catalog, patch("a", nan, 2), put("b", RED, nan, 2), put("c", RED, version=2)) == [
        "attributes_invalid", "attributes_invalid", "applied"
    ]  # fmt: skip
    assert catalog.get("a").attributes == {"n": 1}


@pytest.mark.parametrize(
    ("before", "after"), [({"n": 1}, {"n": True}), ({"n": 1}, {"n": 1.0}), ({"n": [0]}, {"n": [False]})]
)
def test_what_python_takes_for_equal_is_not_in_json(catalog: Catalog, before: Any, after: Any) -> None:
    catalog.apply([put("a", RED, before)])
    assert ended(catalog, put("a", RED, after)) == ["applied"]
    [value] = catalog.get("a").attributes.values()
    assert repr(value) == repr(after["n"])


# images ---------------------------------------------------------------------------------------------------------


def test_images_come_from_files_bytes_urls_and_media(
    catalog: Catalog, fetcher: StubFetcher, media: Media, tmp_path: Path
) -> None:
    path = tmp_path / "red.png"
    path.write_bytes(RED)
    fetcher.images[URL] = RED
    sources = {"path": path, "bytes": RED, "url": RemoteImage(URL), "media": StoredImage(media.put(RED))}
    changes = [put(name, source, version=1) for name, source in sources.items()]
    assert ended(catalog, *changes) == ["applied"] * 4
    assert {catalog.get(name).image for name in sources} == {hash_of(RED)}
    assert catalog.neighbors("path", min_score=0.9999, limit=3)[2].score == pytest.approx(1.0)


def test_what_an_image_does_wrong_is_an_outcome(catalog: Catalog, fetcher: StubFetcher, tmp_path: Path) -> None:
    note = tmp_path / "note.png"
    note.write_text("buy milk")
    fetcher.images |= {"https://a": FetchFailed("503 three times."), "https://b": FetchNotFound("404.")}
    outcomes = catalog.apply(
        [
            put("a", RemoteImage("https://a"), version=1),
            put("b", RemoteImage("https://b"), version=1),
            put("c", StoredImage("0" * 64), version=1),
            put("d", StoredImage("../secret"), version=1),
            put("e", note, version=1),
            put("f", tmp_path / "gone.png", version=1),
            put("g", None, version=1),
            put("h", RED, version=1),
        ]
    )
    assert [outcome.code for outcome in outcomes] == [
        "fetch_failed", "fetch_not_found", "media_not_found", "invalid_input", "image_unsupported",
        "image_not_readable", "change_invalid", None,
    ]  # fmt: skip
    assert outcomes[0] == Outcome("a", State.FAILED, "fetch_failed", "503 three times.")
    messages = [outcomes[place].message or "" for place in (4, 5)]
    assert messages[0].startswith(f"{note}: ") and messages[1].startswith(f"{tmp_path / 'gone.png'} ")
    assert [product.product_id for product in catalog.scroll()[0]] == ["h"]


def test_the_stored_image_is_not_encoded_again_but_versions_and_attributes_move(
    catalog: Catalog, encoder: StubEncoder, index: VectorIndex
) -> None:
    catalog.apply([put("a", RED, {"n": 1}, 1), put("b", RED, {"n": 1}, 1), put("c", RED, {"n": 1}, 1)])
    encoded = encoder.encoded
    changes = [put("a", RED, version=3), put("b", RED, {"n": 2}, 4), patch("c", {"n": 1}, 5, RED)]
    assert ended(catalog, *changes) == ["unchanged", "applied", "unchanged"]
    assert encoder.encoded == encoded
    assert index.versions(["a", "b", "c"]) == [3, 4, 5]
    assert [catalog.get(each).attributes["n"] for each in "abc"] == [1, 2, 1]
    assert ended(catalog, put("a", BLUE, version=2)) == ["superseded"]


def test_a_stored_image_that_another_writer_replaces_meanwhile_is_encoded(
    make: Callable[..., Catalog], index: VectorIndex
) -> None:
    other = np.eye(48, dtype=np.float32)[7]
    make().apply([put("a", RED, {"n": 1}, 1)])
    [before] = index.get(["a"], vectors=True)
    meddled = Meddled(
        index, "update_attributes", lambda index: index.upsert([Point("a", 2, other, image=hash_of(BLUE))])
    )
    assert ended(make(index=meddled), put("a", RED, {"n": 3}, 3)) == ["applied"]
    [after] = index.get(["a"], vectors=True)
    assert before and after and before.vector is not None and after.vector is not None
    assert (after.version, after.image, after.attributes) == (3, hash_of(RED), {"n": 3})
    np.testing.assert_allclose(after.vector, before.vector, atol=1e-6)


def test_a_patch_whose_product_another_writer_removes_meanwhile_fails(
    make: Callable[..., Catalog], index: VectorIndex
) -> None:
    make().apply([put("a", RED, version=1), put("b", RED, version=1)])
    remove = lambda index: index.upsert([Tombstone("a", 2, 1.0), Tombstone("b", 9, 1.0)])  # noqa: E731
    catalog = make(index=Meddled(index, "update_attributes", remove))
    assert ended(catalog, patch("a", {"n": 1}, 3), patch("b", {"n": 1}, 3)) == ["product_not_found", "superseded"]
    assert catalog.count() == 0


def test_a_newer_write_in_between_supersedes_an_encoded_one(make: Callable[..., Catalog], index: VectorIndex) -> None:
    vector = np.eye(48, dtype=np.float32)[7]
    catalog = make(index=Meddled(index, "upsert", lambda index: index.upsert([Point("a", 9, vector)])))
    assert ended(catalog, put("a", RED, version=3), put("b", RED, version=4)) == ["superseded", "applied"]
    assert index.versions(["a", "b"]) == [9, 4]


@memory_only
def test_an_index_that_never_settles_is_unavailable(make: Callable[..., Catalog], index: VectorIndex) -> None:
    make().apply([put("a", RED, {"n": 1}, 1)])
    unsettled: Any = Meddled(index, "", lambda index: None)
    unsettled.update_attributes = lambda moves: [False for _ in moves]
    with pytest.raises(IndexUnavailable, match="'a'"):
        make(index=unsettled).apply([patch("a", {"n": 2}, 2), put("b", RED, version=3)])


# what is kept, and when -----------------------------------------------------------------------------------------


def test_an_original_is_kept_before_its_vector_and_only_if_it_is_an_image(
    make: Callable[..., Catalog], index: VectorIndex, media: Media
) -> None:
    seen = []
    catalog = make(index=Meddled(index, "upsert", lambda _: seen.append([media.exists(hash_of(RED))])))
    catalog.apply([put("a", RED, version=1), put("b", b"no image", version=2)])
    assert seen == [[True]]
    assert not media.exists(hash_of(b"no image"))


class Counted(bytes):
    """Bytes of which it is known how many are in memory."""

    alive = peak = 0

    def __new__(cls, data: bytes) -> "Counted":
        cls.alive += 1
        cls.peak = max(cls.peak, cls.alive)
        return super().__new__(cls, data)

    def __del__(self) -> None:
        type(self).alive -= 1


class Fresh:
    """A fetcher that makes new bytes each time: pictures, or with `broken` none."""

    def __init__(self, broken: bool) -> None:
        self.broken = broken

    def fetch(self, url: str) -> bytes:
        return Counted(b"\x89PNG\r\n\x1a\n broken " + url.encode() if self.broken else RED + url.encode())

    def close(self) -> None:
        """Nothing to let go of."""


class Inline:
    """A decoder whose work is done by others: what counts here is who holds bytes."""

    def __init__(self, decoder: Any) -> None:
        self.processes = decoder.processes
        self._decoder = decoder

    def submit_hashed(self, data: bytes, *arguments: Any) -> Any:
        return self._decoder.submit_hashed(bytes(data) + b"", *arguments)


@pytest.mark.parametrize("broken", [False, True], ids=["sound", "broken"])
@memory_only
def test_the_bytes_of_an_image_are_dropped_before_the_next_one_comes(
    make: Callable[..., Catalog], make_intake: Callable[..., Intake], decoder: Decoder, broken: bool
) -> None:
    """Given 40 images and 4 threads that fetch, I expect that never more than a few originals are in memory."""
    catalog = make(intake=make_intake(decoder=Inline(decoder), fetcher=Fresh(broken)))
    Counted.alive = Counted.peak = 0
    states = {each.state for each in catalog.apply([put(f"p{n}", RemoteImage(f"{n}"), version=1) for n in range(40)])}
    assert states == {State.FAILED if broken else State.APPLIED}
    assert Counted.alive == 0
    assert Counted.peak <= 5


def test_a_product_has_the_perceptual_hash_of_its_image(make: Callable[..., Catalog], index: VectorIndex) -> None:
    catalog = make()
    red, blue = (decode_hashed(image, 8, "nearest", Limits(1_000_000, 1_000_000))[1] for image in (RED, BLUE))

    def stored() -> str | None:
        [point] = index.get(["a"])
        return point and point.perceptual

    for change, expected in (
        (put("a", RED), red),
        (put("a", RED, {"n": 1}), red),
        (patch("a", {"n": 2}), red),
        (put("a", BLUE), blue),
        (patch("a", image=RED), red),
    ):
        catalog.apply([change])
        assert stored() == expected
    assert red != blue


def test_nothing_is_written_without_a_version_where_nothing_changes(
    make: Callable[..., Catalog], index: VectorIndex
) -> None:
    catalog = make()
    catalog.apply([put("a", RED, {"n": 1})])
    assert index.versions(["a"]) == [1]

    def no_writing(index: VectorIndex) -> None:
        raise AssertionError("nothing is to be written")

    for name in ("upsert", "update_attributes", "flush"):
        catalog = make(index=Meddled(index, name, no_writing))
        changes = [put("a", RED), delete("b")]
        assert ended(catalog, *changes) == ["unchanged", "unchanged"]
        assert ended(catalog, patch("a", {"n": 1})) == ["unchanged"]
    assert index.versions(["a", "b"]) == [1, None]


def test_changes_without_a_version_are_numbered_above_everything_stored(catalog: Catalog, index: VectorIndex) -> None:
    catalog.apply([put("a", RED, version=40), delete("b", 70)])
    catalog.apply([put("a", BLUE), put("b", BLUE)])
    assert index.versions(["a", "b"]) == [71, 72]
    catalog.apply([put("a", RED, version=5000)])
    assert ended(catalog, patch("a", {"n": 1})) == ended(catalog, put("b", RED)) == ["applied"]
    assert index.versions(["a", "b"]) == [5001, 5002]


# what concerns the whole batch ----------------------------------------------------------------------------------

FAILURES = {
    "encoder": EncoderError("no memory"),
    "disk": DataFull("full"),
    "index": IndexUnavailable("away"),
    "decoding": DecodingUnavailable("no child starts"),
}


@pytest.mark.parametrize("who", FAILURES)
def test_a_dead_backend_raises_for_the_whole_batch_which_may_be_applied_again(
    make: Callable[..., Catalog], make_intake: Callable[..., Intake], index: VectorIndex, who: str
) -> None:
    def fail(*_: Any) -> Any:
        raise FAILURES[who]

    changes = [put("a", RED, {"n": 1}, 1), put("b", BLUE, version=2), delete("c", 3), put("d", b"no image", version=4)]
    failing = {
        "encoder": lambda: make(load=fail),
        "disk": lambda: make(check_space=fail),
        "index": lambda: make(index=Meddled(index, "flush", fail)),
        "decoding": lambda: make(intake=make_intake(decoder=SimpleNamespace(processes=1, submit_hashed=fail))),
    }
    with pytest.raises(type(FAILURES[who])):
        failing[who]().apply(changes)
    again = ended(make(), *changes)
    assert (again[:2], again[2] in ("applied", "unchanged"), again[3]) == (["applied"] * 2, True, "image_unsupported")
    assert index.versions(["a", "b", "c", "d"]) == [1, 2, 3, None]


def test_a_full_disk_is_seen_before_anything_is_fetched_and_before_anything_is_written(
    make: Callable[..., Catalog], fetcher: StubFetcher, index: VectorIndex
) -> None:
    """Given a disk that is full at each moment in turn, I expect nothing in the index, and at first nothing fetched."""
    fetcher.images[URL] = RED
    changes = [put("a", RemoteImage(URL), version=1), delete("b", 2)]
    fetched = []
    for moment in range(3):
        checks = iter(range(10))

        def check_space(planned: int, moment: int = moment, checks: Iterator[int] = checks) -> None:
            if next(checks) == moment:
                raise DataFull("full")

        with pytest.raises(DataFull):
            make(check_space=check_space).apply(changes)
        assert index.versions(["a", "b"]) == [None, None]
        fetched.append(fetcher.fetched[URL])
    assert fetched == [0, 1, 2]


def test_what_closing_does_to_a_batch_is_no_outcome(
    make: Callable[..., Catalog], make_intake: Callable[..., Intake]
) -> None:
    """Given that children and connections are closed under a batch, I expect an error that says to try again."""

    class Closing(StubFetcher):
        def fetch(self, url: str) -> bytes:
            intake.close()
            raise FetchFailed("broken off")

    decoder = Decoder(1, 10.0, 1 << 30, Limits(1_000_000, 1_000_000))
    intake = make_intake(decoder=decoder, fetcher=Closing())
    catalog = make(intake=intake)
    for image in (RemoteImage(URL), RED):
        with pytest.raises(Closed):
            catalog.apply([put("a", image, version=1)])


def test_stages_and_batches_are_observed(make: Callable[..., Catalog], fetcher: StubFetcher) -> None:
    seen: list[tuple[str, float]] = []
    fetcher.images[URL] = RED
    catalog = make(observe=lambda name, value: seen.append((name, value)))
    catalog.apply([put("a", RemoteImage(URL), version=1), delete("b", 1), put("c", RemoteImage("gone"), version=1)])
    assert [name for name, _ in seen] == ["batch", "fetch", "decode", "encode", "images", "write"]
    assert (seen[0], seen[4]) == (("batch", 3), ("images", 1))
    assert all(0 <= value < 60 for _, value in seen[1:])
    seen.clear()
    catalog.apply([patch("a", {"n": 1}, 2), delete("c", 2)])
    assert [name for name, _ in seen] == ["batch", "write"]
    seen.clear()
    catalog.apply([patch("a", {"n": 1}, 2)])
    assert [name for name, _ in seen] == ["batch"]


# against a model ------------------------------------------------------------------------------------------------

ids = st.sampled_from("abc")
images = st.sampled_from(list(PICTURES))
some_attributes = st.dictionaries(st.sampled_from("xy"), st.sampled_from([1, True, None, "z"]), max_size=2)
steps = st.one_of(
    st.tuples(st.just(ChangeKind.PUT), ids, images, st.none() | some_attributes),
    st.tuples(st.just(ChangeKind.PATCH), ids, st.none() | images, st.none() | some_attributes),
    st.tuples(st.just(ChangeKind.DELETE), ids, st.none(), st.none()),
)
Step = tuple[ChangeKind, str, str | None, dict[str, Any] | None]
Model = dict[str, tuple[str, dict[str, Any]]]


def modeled(model: Model, step: Step) -> str:
    """Does a step to the model, and tells how it ends."""
    kind, product_id, image, attributes = step
    before = model.get(product_id)
    if kind is ChangeKind.DELETE:
        return "applied" if model.pop(product_id, None) else "unchanged"
    if kind is ChangeKind.PATCH:
        if before is None:
            return "product_not_found"
        left = before[1] | (attributes or {})
        after = (image or before[0], {name: left[name] for name in left if (attributes or {}).get(name, 0) is not None})
    else:
        assert image
        after = (image, attributes if attributes is not None else (before[1] if before else {}))
    model[product_id] = after
    return "unchanged" if written(before) == written(after) else "applied"


def written(product: Any) -> str:
    """As JSON, where true is not 1."""
    return json.dumps(product, sort_keys=True)


def stored(index: VectorIndex) -> Model:
    """The index as a model; each vector is that of its image."""
    names = {hash_of(image): name for name, image in PICTURES.items()}
    points, _ = index.scroll(limit=100, vectors=True)
    for point in points:
        assert point.image and point.vector is not None
        assert int(np.argmax(point.vector[:3])) == list(PICTURES).index(names[point.image])
    return {point.product_id: (names[point.image], dict(point.attributes)) for point in points if point.image}


@memory_only
@lawful
@given(st.lists(steps, max_size=12), st.booleans(), st.data())
def test_changes_one_after_another_do_what_a_dict_does(
    make: Callable[..., Catalog], sequence: list[Step], numbered: bool, data: st.DataObject
) -> None:
    index = MemoryIndex(48)
    catalog = make(index=index)
    model: Model = {}
    for version, step in enumerate(sequence, 1):
        kind, product_id, image, attributes = step
        change = Change(product_id, kind, PICTURES[image] if image else None, attributes, version if numbered else None)
        assert ended(catalog, change) == [modeled(model, step)]
        assert written(stored(index)) == written(model)
        if numbered and data.draw(st.booleans(), label="redelivered"):
            assert ended(catalog, change) != ["superseded"]
            assert written(stored(index)) == written(model)


versioned = st.lists(st.tuples(ids, st.none() | images), min_size=1, max_size=14)


def newest(sequence: list[tuple[str, str | None]]) -> Model:
    last = {product_id: (image, {"n": n}) for n, (product_id, image) in enumerate(sequence, 1)}
    return {product_id: (image, attributes) for product_id, (image, attributes) in last.items() if image}


def changes_of(sequence: list[tuple[str, str | None]]) -> list[Change]:
    """Puts, and deletes where there is no image, with versions in their order."""
    return [
        put(product_id, PICTURES[image], {"n": version}, version) if image else delete(product_id, version)
        for version, (product_id, image) in enumerate(sequence, 1)
    ]


def batches(changes: list[Change], chance: random.Random) -> Iterator[list[Change]]:
    """Cut at random, each with at most one change a product."""
    batch: dict[str, Change] = {}
    for change in changes:
        if change.product_id in batch or chance.random() < 0.3:
            yield [*batch.values()]
            batch = {}
        batch[change.product_id] = change
    yield [*batch.values()]


@memory_only
@lawful
@given(versioned, st.randoms(use_true_random=False))
def test_in_whatever_order_and_however_often_changes_come_the_newest_stays(
    make: Callable[..., Catalog], sequence: list[tuple[str, str | None]], chance: random.Random
) -> None:
    index = MemoryIndex(48)
    catalog = make(index=index)
    changes = changes_of(sequence) + chance.choices(changes_of(sequence), k=4)
    chance.shuffle(changes)
    for batch in batches(changes, chance):
        catalog.apply(batch)
    assert stored(index) == newest(sequence)


def test_threads_that_apply_batches_at_once_end_in_the_newest(
    make: Callable[..., Catalog], index: VectorIndex, record_property: Any
) -> None:
    seed = random.randrange(1 << 30)
    record_property("seed", seed)
    chance = random.Random(seed)
    catalog = make()
    sequence = [(f"p{chance.randrange(20)}", chance.choice([*PICTURES, None])) for _ in range(240)]
    changes = changes_of(sequence) * 2
    chance.shuffle(changes)
    with ThreadPoolExecutor(6) as pool:
        outcomes = [each for ended in pool.map(catalog.apply, batches(changes, chance)) for each in ended]
    assert len(outcomes) == 480
    assert {outcome.state for outcome in outcomes} <= {State.APPLIED, State.UNCHANGED, State.SUPERSEDED}
    assert stored(index) == newest(sequence)


def test_patches_without_versions_by_many_threads_each_do_their_part(catalog: Catalog) -> None:
    """Given that each thread patches a product of its own, I expect every patch to be there at the end."""
    catalog.apply([put(f"p{n}", RED, {"n": 0}) for n in range(4)])
    start = threading.Barrier(4)

    def work(number: int) -> None:
        start.wait()
        for step in range(1, 11):
            catalog.patch(f"p{number}", {"n": step, f"s{step}": True})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    for number in range(4):
        assert catalog.get(f"p{number}").attributes == {"n": 10} | {f"s{step}": True for step in range(1, 11)}
