"""What becomes of a change, for every kind of change and every state of what is stored."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from services.attributes import MAX_DEPTH
from services.catalog.plan import (
    EncodedImage,
    PlannedChange,
    Stored,
    Write,
    check_change,
    image_failed,
    not_found,
    plan,
)
from services.errors import ImageUnsupported
from services.records import (
    Attributes,
    AttributeUpdate,
    Change,
    ChangeKind,
    Outcome,
    Point,
    RemoteImage,
    State,
    Tombstone,
    failed,
)

APPLIED, UNCHANGED, SUPERSEDED = State.APPLIED, State.UNCHANGED, State.SUPERSEDED
IMAGE = b"the bytes of a picture"
NOW = 1_700_000_000.0
NEXT = 100
"""The next version of the catalog."""

ABSENT = Stored()
REMOVED = Stored(None, 5)
PRESENT = Stored(Point("a", 5, None, 1.0, {"n": 1}, "old"), 5)
AT_URL = Stored(Point("a", 5, None, 1.0, {"n": 1}, "old", url="u"), 5)
IMPORTED = Stored(Point("a", 5, None, 1.0, {"n": 1}, None), 5)
"""Features that came without an image."""

NEW = EncodedImage(np.array([0.6, 0.8], np.float32), 2.5, "new", "look")


def put(attributes: Attributes | None = None, version: int | None = None) -> Change:
    return Change("a", ChangeKind.PUT, IMAGE, attributes, version)


def patch(attributes: Attributes | None = None, version: int | None = None, image: bytes | None = None) -> Change:
    return Change("a", ChangeKind.PATCH, image, attributes, version)


def delete(version: int | None = None) -> Change:
    return Change("a", ChangeKind.DELETE, version=version)


def point(version: int, attributes: Attributes) -> Write:
    return Write(Point("a", version, NEW.vector, 2.5, attributes, "new", "look"), APPLIED)


def update(version: int, attributes: Attributes, state: State, image: str | None = None) -> Write:
    return Write(AttributeUpdate("a", version, attributes, image), state)


def tombstone(version: int, state: State) -> Write:
    return Write(Tombstone("a", version, NOW), state)


def decided(change: Change, stored: Stored, encoded: EncodedImage | None) -> Outcome | Write:
    """How a change ends, or what is to be written for it."""
    assert check_change(change) is None
    found = plan(change, stored, "shoes")
    if isinstance(found, Outcome):
        return found
    if encoded or found.writes:
        return found.write(NEXT if change.version is None else change.version, NOW, encoded)
    return Outcome("a", found.state)


def fetched(url: str, version: int | None = None) -> Change:
    return Change("a", ChangeKind.PUT, RemoteImage(url), None, version)


def moved(version: int, state: State, url: str) -> Write:
    return Write(AttributeUpdate("a", version, {"n": 1}, "old", url), state)


MISSING = failed("a", not_found("a", "shoes"))


@pytest.mark.parametrize(
    ("change", "stored", "encoded", "expected"),
    [
        # A new image is written with its attributes, whatever was there.
        (put(), ABSENT, NEW, point(NEXT, {})),
        (put({"n": 2}), ABSENT, NEW, point(NEXT, {"n": 2})),
        (put({"n": 2}, 3), ABSENT, NEW, point(3, {"n": 2})),
        (put({"n": 2}), REMOVED, NEW, point(NEXT, {"n": 2})),
        (put({"n": 2}, 6), REMOVED, NEW, point(6, {"n": 2})),
        (put(), PRESENT, NEW, point(NEXT, {"n": 1})),
        (put({"m": 2}, 6), PRESENT, NEW, point(6, {"m": 2})),
        (put({}), IMPORTED, NEW, point(NEXT, {})),
        (patch({"m": 2}, image=IMAGE), PRESENT, NEW, point(NEXT, {"n": 1, "m": 2})),
        (patch(None, 6, IMAGE), PRESENT, NEW, point(6, {"n": 1})),
        # The stored image is not written again, and its attributes are only while it is the stored one.
        (put(), PRESENT, None, Outcome("a", UNCHANGED)),
        (put({"n": 1}), PRESENT, None, Outcome("a", UNCHANGED)),
        (put({"n": 2}), PRESENT, None, update(NEXT, {"n": 2}, APPLIED, "old")),
        (put({"n": 1}, 6), PRESENT, None, update(6, {"n": 1}, UNCHANGED, "old")),
        (put({}, 6), PRESENT, None, update(6, {}, APPLIED, "old")),
        (patch({"n": None}, image=IMAGE), PRESENT, None, update(NEXT, {}, APPLIED, "old")),
        # In JSON true is not 1.
        (put({"n": True}), PRESENT, None, update(NEXT, {"n": True}, APPLIED, "old")),
        # Where an image was fetched stays with it, and another URL of the same image is written for itself.
        (fetched("u"), ABSENT, NEW, Write(Point("a", NEXT, NEW.vector, 2.5, {}, "new", "look", "u"), APPLIED)),
        (fetched("u"), PRESENT, None, moved(NEXT, UNCHANGED, "u")),
        (fetched("u", 6), PRESENT, None, moved(6, UNCHANGED, "u")),
        (fetched("u"), AT_URL, None, Outcome("a", UNCHANGED)),
        (put(), AT_URL, None, Outcome("a", UNCHANGED)),
        (put(None, 6), AT_URL, None, update(6, {"n": 1}, UNCHANGED, "old")),
        (put(), AT_URL, NEW, point(NEXT, {"n": 1})),
        # A patch without an image does not ask which one is stored.
        (patch({"m": 2}), PRESENT, None, update(NEXT, {"n": 1, "m": 2}, APPLIED)),
        (patch({"m": 2}, 6), IMPORTED, None, update(6, {"n": 1, "m": 2}, APPLIED)),
        (patch({"n": 1}), PRESENT, None, Outcome("a", UNCHANGED)),
        (patch({"n": 1}, 6), PRESENT, None, update(6, {"n": 1}, UNCHANGED)),
        # A patch of a product that is not there fails, with an image, too.
        (patch({"n": 1}), ABSENT, None, MISSING),
        (patch({"n": 1}, 6), REMOVED, None, MISSING),
        (patch({"n": 1}, 6, IMAGE), REMOVED, None, MISSING),
        # A delete leaves a tombstone, where nothing is stored only if it has a version.
        (delete(), PRESENT, None, tombstone(NEXT, APPLIED)),
        (delete(6), PRESENT, None, tombstone(6, APPLIED)),
        (delete(), ABSENT, None, Outcome("a", UNCHANGED)),
        (delete(3), ABSENT, None, tombstone(3, UNCHANGED)),
        (delete(), REMOVED, None, Outcome("a", UNCHANGED)),
        (delete(6), REMOVED, None, tombstone(6, UNCHANGED)),
    ],
)
def test_a_change_is_decided_by_what_is_stored(
    change: Change, stored: Stored, encoded: EncodedImage | None, expected: Outcome | Write
) -> None:
    found = decided(change, stored, encoded)
    assert found == expected
    if encoded:
        assert isinstance(found, Write) and isinstance(found.record, Point)
        assert found.record.vector is encoded.vector


@pytest.mark.parametrize("stored", [REMOVED, PRESENT, IMPORTED])
@pytest.mark.parametrize("make", [put, patch, delete])
def test_versions_order_the_changes_of_a_product(make: Callable[..., Change], stored: Stored) -> None:
    """An equal version is the same change delivered again, a lower one is superseded: neither is looked at further."""
    states = {version: plan(make(version=version), stored, "shoes") for version in (1, 4, 5)}
    assert states == {1: Outcome("a", SUPERSEDED), 4: Outcome("a", SUPERSEDED), 5: Outcome("a", APPLIED)}
    newer = plan(make(version=6), stored, "shoes")
    assert newer == MISSING if make is patch and stored is REMOVED else isinstance(newer, PlannedChange)


def test_an_old_change_that_is_wrong_is_superseded_and_no_failure() -> None:
    assert plan(patch({"n": 1}, 4), REMOVED, "shoes") == Outcome("a", SUPERSEDED)
    assert plan(put({"n": float("nan")}, 5), PRESENT, "shoes") == Outcome("a", APPLIED)


@pytest.mark.parametrize(
    ("change", "image", "stored_image"),
    [
        (put(), IMAGE, "old"),
        (patch({"n": 2}), None, "old"),
        (patch(None, None, IMAGE), IMAGE, "old"),
        (delete(), None, "old"),
        (Change("a", ChangeKind.DELETE, IMAGE), None, "old"),
    ],
)
def test_only_puts_and_patches_have_an_image_to_look_at(change: Change, image: bytes | None, stored_image: str) -> None:
    planned = plan(change, PRESENT, "shoes")
    assert isinstance(planned, PlannedChange)
    assert (planned.image, planned.stored_image) == (image, stored_image)


def deep() -> Attributes:
    value: dict[str, object] = {}
    for _ in range(MAX_DEPTH + 1):
        value = {"in": value}
    return value


@pytest.mark.parametrize("change", [put(deep()), put({"n": float("inf")}), patch(deep())])
def test_attributes_that_are_not_allowed_fail_the_change(change: Change) -> None:
    found = plan(change, PRESENT, "shoes")
    assert isinstance(found, Outcome) and (found.state, found.code) == (State.FAILED, "attributes_invalid")


def test_attributes_that_no_json_merge_patch_would_touch_stay() -> None:
    stored = Stored(Point("a", 5, attributes={"size": {"width": 3, "depth": 4}, "tags": ["x"]}), 5)
    planned = plan(patch({"size": {"depth": None}, "tags": ["y"]}), stored, "shoes")
    assert isinstance(planned, PlannedChange)
    assert planned.attributes == {"size": {"width": 3}, "tags": ["y"]}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (Change("", ChangeKind.DELETE), "product_id_invalid"),
        (Change("a" * 513, ChangeKind.PUT, IMAGE), "product_id_invalid"),
        (Change("a ", ChangeKind.PUT, IMAGE), "product_id_invalid"),
        (Change("a", ChangeKind.PUT), "change_invalid"),
    ],
)
def test_what_is_wrong_whatever_is_stored_is_known_before_anything_is_read(change: Change, code: str) -> None:
    failure = check_change(change)
    assert failure and (failure.state, failure.code) == (State.FAILED, code)


def test_the_failure_of_an_image_names_its_file_once() -> None:
    change = Change("a", ChangeKind.PUT, Path("shoe.png"))
    assert image_failed(change, ImageUnsupported("It is text.")).message == "shoe.png: It is text."
    assert image_failed(change, ImageUnsupported("shoe.png is text.")).message == "shoe.png is text."
    assert image_failed(put(), ImageUnsupported("It is text.")).message == "It is text."
