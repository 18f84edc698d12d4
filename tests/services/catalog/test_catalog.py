"""What a catalog promises, over every index."""

import io
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from services.catalog.catalog import Catalog
from services.descriptions import AttributeKind, CatalogSpec
from services.errors import (
    AttributeNotIndexed,
    DataFull,
    EncoderMismatch,
    ImageUnsupported,
    InvalidAttributes,
    InvalidInput,
    InvalidVector,
    MediaNotFound,
    ProductNotFound,
)
from services.index.vector_index import VectorIndex
from services.query.filters import key_of, parse
from services.records import Attributes, Change, Embedding, Facet, ImageSource, Outcome, Point, State
from services.testing import StubEncoder, picture

RED, GREEN, BLUE = (220, 30, 30), (30, 200, 40), (30, 40, 210)


def put(
    product_id: str, image: ImageSource, attributes: Attributes | None = None, version: int | None = None
) -> Change:
    return Change(product_id, image=image, attributes=attributes, version=version)


def outcomes(catalog: Catalog, *changes: Change) -> dict[str, Outcome]:
    return {outcome.product_id: outcome for outcome in catalog.put(changes)}


def states(catalog: Catalog, *changes: Change) -> dict[str, State]:
    return {product_id: outcome.state for product_id, outcome in outcomes(catalog, *changes).items()}


def shoes() -> list[Change]:
    """Three red ones, three green ones, three blue ones."""
    colors = {"red": RED, "green": GREEN, "blue": BLUE}
    return [
        put(f"{name}-{number}", picture(color, number), {"color": name, "size": 40 + number})
        for name, color in colors.items()
        for number in range(3)
    ]


def test_the_red_shoe_finds_the_red_shoes(catalog: Catalog) -> None:
    assert set(states(catalog, *shoes()).values()) == {State.APPLIED}
    found = catalog.neighbors("red-0", limit=2)
    assert {neighbor.product_id for neighbor in found} == {"red-1", "red-2"}
    assert all(neighbor.attributes["color"] == "red" and neighbor.score > 0.99 for neighbor in found)


def test_a_red_picture_finds_the_red_shoes(catalog: Catalog) -> None:
    states(catalog, *shoes())
    found = catalog.search_image(picture(RED, 99), limit=3)
    assert {neighbor.product_id for neighbor in found} == {"red-0", "red-1", "red-2"}


def test_a_filter_keeps_only_what_it_says(catalog: Catalog) -> None:
    states(catalog, *shoes())
    filter = parse(
        {"must_not": [{"key": "color", "match": {"value": "red"}}], "must": [{"key": "size", "range": {"gte": 42}}]}
    )
    found = catalog.neighbors("red-0", filter=filter)
    assert {neighbor.product_id for neighbor in found} == {"green-2", "blue-2"}
    assert catalog.count(filter) == 2


def test_offset_goes_on_where_limit_stopped(catalog: Catalog) -> None:
    states(catalog, *shoes())
    everything = catalog.neighbors("red-0", limit=8)
    assert len(everything) == 8
    assert catalog.neighbors("red-0", limit=3) + catalog.neighbors("red-0", limit=5, offset=3) == everything


def test_min_score_cuts(catalog: Catalog) -> None:
    states(catalog, *shoes())
    assert {each.product_id for each in catalog.neighbors("red-0", min_score=0.99)} == {"red-1", "red-2"}


def test_an_unchanged_image_is_not_encoded_again(catalog: Catalog, encoder: StubEncoder) -> None:
    states(catalog, *shoes())
    before = encoder.encoded
    assert set(states(catalog, *shoes()).values()) == {State.UNCHANGED}
    assert encoder.encoded == before


def test_new_attributes_of_an_unchanged_image_are_stored_without_encoding(
    catalog: Catalog, encoder: StubEncoder
) -> None:
    [first] = shoes()[:1]
    states(catalog, first)
    before = encoder.encoded
    assert states(catalog, replace(first, attributes={"color": "crimson"})) == {"red-0": State.APPLIED}
    assert encoder.encoded == before
    assert catalog.get("red-0").attributes == {"color": "crimson"}


def test_attributes_that_are_not_given_stay(catalog: Catalog) -> None:
    states(catalog, put("a", picture(RED), {"color": "red"}))
    states(catalog, put("a", picture(RED)), put("b", picture(BLUE)))
    assert catalog.get("a").attributes == {"color": "red"}
    states(catalog, put("a", picture(GREEN)))
    assert catalog.get("a").attributes == {"color": "red"}
    assert catalog.get("b").attributes == {}


def test_two_products_may_share_an_image(catalog: Catalog) -> None:
    assert states(catalog, put("a", picture(RED)), put("b", picture(RED))) == {"a": State.APPLIED, "b": State.APPLIED}
    [neighbor] = catalog.neighbors("a")
    assert (neighbor.product_id, round(neighbor.score, 5)) == ("b", 1.0)


def test_a_new_image_replaces_the_old_one(catalog: Catalog) -> None:
    states(catalog, *shoes())
    states(catalog, put("red-0", picture(BLUE, 77)))
    assert {each.product_id for each in catalog.neighbors("red-0", limit=3)} == {"blue-0", "blue-1", "blue-2"}
    assert catalog.count() == 9


def bad_images(folder: Path) -> dict[str, tuple[Change, str]]:
    """A put of each fault, and its code."""
    gone, directory, large = folder / "gone.png", folder / "directory.png", folder / "large.png"
    directory.mkdir()
    pipe = folder / "pipe.png"
    os.mkfifo(pipe)
    large.write_bytes(b"\0" * 1_000_001)
    return {
        "gone": (put("gone", gone), "image_not_readable"),
        "directory": (put("directory", directory), "image_not_readable"),
        "pipe": (put("pipe", pipe), "image_not_readable"),
        "nul": (put("nul", folder / "a\0b.png"), "image_not_readable"),
        "large": (put("large", large), "image_too_large"),
        "text": (put("text", b"no image"), "image_unsupported"),
        "cut": (put("cut", picture(RED)[:200]), "image_corrupt"),
        "wide": (put("wide", wide()), "image_too_many_pixels"),
        "black": (put("black", black()), "image_featureless"),
        "": (put("", picture(RED)), "product_id_invalid"),
        "x" * 513: (put("x" * 513, picture(RED)), "product_id_invalid"),
        "\udcff": (put("\udcff", picture(RED)), "product_id_invalid"),
        "WS-1\u00a0": (put("WS-1\u00a0", picture(RED)), "product_id_invalid"),
        "a\0b": (put("a\0b", picture(RED)), "product_id_invalid"),
        "nan": (put("nan", picture(RED), {"price": float("nan")}), "attributes_invalid"),
    }


def wide() -> bytes:
    """A GIF that says it has 65,535 x 65,535 pixels."""
    out = io.BytesIO()
    Image.new("P", (1, 1)).save(out, "GIF")
    return out.getvalue()[:6] + b"\xff\xff\xff\xff" + out.getvalue()[10:]


def black() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "PNG")
    return out.getvalue()


def test_a_bad_image_is_a_result_and_hurts_no_other(catalog: Catalog, tmp_path: Path) -> None:
    bad = bad_images(tmp_path)
    mixed = [each for pair in zip(shoes() * 2, [each for each, _ in bad.values()], strict=False) for each in pair]
    good = [each for each in mixed if each.product_id not in bad]
    found = outcomes(catalog, *mixed)
    assert {each: (found[each].state, found[each].code) for each in bad} == {
        each: (State.FAILED, code) for each, (_, code) in bad.items()
    }
    assert all(found[each.product_id].state is not State.FAILED for each in good)
    assert catalog.count() == len({each.product_id for each in good})


def test_a_fault_names_the_file(catalog: Catalog, tmp_path: Path) -> None:
    path = tmp_path / "note.png"
    path.write_text("buy milk")
    [outcome] = catalog.put([put("note", path)])
    assert outcome.message and outcome.message.startswith(f"{path}: ")


def test_an_image_that_failed_leaves_nothing_in_the_catalog(catalog: Catalog) -> None:
    states(catalog, put("a", picture(RED), {"color": "red"}))
    states(catalog, put("a", b"broken", {"color": "blue"}), put("b", b"broken"))
    assert catalog.get("a").attributes == {"color": "red"}
    with pytest.raises(ProductNotFound):
        catalog.get("b")


def test_an_endless_stream_is_taken_a_little_at_a_time(catalog: Catalog) -> None:
    """Given a stream that never ends, I expect outcomes while it runs, and that it was not read far ahead."""
    asked = 0

    def endless() -> Iterator[Change]:
        nonlocal asked
        while True:
            asked += 1
            yield put(f"p{asked}", picture(RED, asked, size=16))

    run = catalog.put(endless())
    first = [next(run) for _ in range(40)]
    assert {outcome.state for outcome in first} == {State.APPLIED}
    assert asked <= 40 + 6 * 8
    run.close()
    assert catalog.count() >= 40


def test_of_two_puts_of_a_product_in_one_run_the_later_wins(catalog: Catalog) -> None:
    ended = [outcome.state for outcome in catalog.put([put("a", picture(RED)), put("a", picture(BLUE))])]
    assert ended == [State.APPLIED, State.APPLIED]
    states(catalog, *shoes())
    assert catalog.neighbors("a", limit=1)[0].product_id.startswith("blue")


@pytest.mark.parametrize("others", [0, 5, 30])
def test_the_stored_image_put_again_after_another_one_wins(catalog: Catalog, others: int) -> None:
    """Given a red product, put blue and then red again in one run, however far apart: I expect it red."""
    states(catalog, put("a", picture(RED)))
    between = [put(f"p{number}", picture(GREEN, number, size=16)) for number in range(others)]
    run = list(catalog.put([put("a", picture(BLUE)), *between, put("a", picture(RED))]))
    assert len(run) == others + 2
    [neighbor] = catalog.search_image(picture(RED), limit=1)
    assert (neighbor.product_id, round(neighbor.score, 4)) == ("a", 1.0)


def test_attributes_stay_from_one_put_to_the_next_in_a_run(catalog: Catalog) -> None:
    list(catalog.put([put("a", picture(RED), {"x": 1}), put("b", picture(GREEN)), put("a", picture(BLUE))]))
    assert catalog.get("a").attributes == {"x": 1}


def test_an_older_version_does_not_replace_a_newer_one(catalog: Catalog) -> None:
    states(catalog, put("a", picture(RED), {"n": 2}, version=7))
    assert states(catalog, put("a", picture(BLUE), {"n": 1}, version=6)) == {"a": State.SUPERSEDED}
    assert catalog.get("a").attributes == {"n": 2}
    assert states(catalog, put("a", picture(RED), {"n": 3}, version=8)) == {"a": State.APPLIED}
    assert states(catalog, put("a", picture(BLUE), version=7)) == {"a": State.SUPERSEDED}


def test_an_unchanged_put_with_a_version_still_outranks_older_ones(catalog: Catalog) -> None:
    states(catalog, put("a", picture(RED), version=1))
    assert states(catalog, put("a", picture(RED), version=3)) == {"a": State.UNCHANGED}
    assert states(catalog, put("a", picture(BLUE), version=2)) == {"a": State.SUPERSEDED}


def test_what_is_removed_is_gone_until_it_is_put_again(catalog: Catalog) -> None:
    states(catalog, *shoes())
    ended = {each.product_id: (each.state, each.code) for each in catalog.remove(["red-1", "nothing"])}
    assert ended == {"red-1": (State.APPLIED, None), "nothing": (State.FAILED, "product_not_found")}
    assert catalog.count() == 8
    assert "red-1" not in {each.product_id for each in catalog.neighbors("red-0", limit=100)}
    with pytest.raises(ProductNotFound, match="red-1"):
        catalog.neighbors("red-1")
    assert states(catalog, shoes()[1]) == {"red-1": State.APPLIED}
    assert catalog.count() == 9


def test_patch_merges_attributes(catalog: Catalog) -> None:
    states(catalog, put("a", picture(RED), {"color": "red", "dim": {"w": 1, "h": 2}, "tag": "x"}))
    patched = catalog.patch("a", {"dim": {"h": 3}, "tag": None, "price": 5})
    assert patched.attributes == {"color": "red", "dim": {"w": 1, "h": 3}, "price": 5}
    assert catalog.get("a") == patched
    with pytest.raises(InvalidAttributes):
        catalog.patch("a", {"price": float("inf")})
    with pytest.raises(ProductNotFound):
        catalog.patch("nothing", {"color": "red"})


def test_scroll_passes_every_product_once(catalog: Catalog) -> None:
    states(catalog, *shoes())
    seen: list[str] = []
    cursor = None
    while True:
        products, cursor = catalog.scroll(after=cursor, limit=4)
        seen += [product.product_id for product in products]
        if cursor is None:
            break
    assert sorted(seen) == sorted(each.product_id for each in shoes())


def test_facets_count_declared_attributes(catalog: Catalog) -> None:
    states(catalog, *shoes()[:5])
    with pytest.raises(AttributeNotIndexed, match="color"):
        catalog.facets("color")
    catalog.declare({"color": AttributeKind.KEYWORD})
    assert catalog.facets("color") == [Facet("red", 3), Facet("green", 2)]
    assert catalog.spec.indexed_attributes == {"color": AttributeKind.KEYWORD}


def test_an_attribute_is_found_by_the_key_of_its_name(catalog: Catalog) -> None:
    for number, name in enumerate(["list price", "a.b", "größe", "tags[]"]):
        states(catalog, put(f"p{number}", picture(RED, number), {name: 7}))
        catalog.declare({key_of(name): AttributeKind.INTEGER})
        assert catalog.count(parse({"must": [{"key": key_of(name), "match": {"value": 7}}]})) == 1
        assert catalog.facets(key_of(name)) == [Facet(7, 1)]


def test_embeddings_come_back_as_raw_features(catalog: Catalog, encoder: StubEncoder) -> None:
    states(catalog, *shoes())
    embeddings = {each.product_id: each for each in catalog.embeddings()}
    assert len(embeddings) == 9
    pixels = np.array(Image.open(io.BytesIO(picture(RED, 0))).resize((32, 32), Image.Resampling.NEAREST))
    expected = encoder.encode(pixels[np.newaxis])[0]
    np.testing.assert_allclose(embeddings["red-0"].features, expected, rtol=1e-5)


def test_embeddings_make_a_searchable_catalog_without_an_encoder(make: Callable[..., Catalog]) -> None:
    def no_encoder() -> StubEncoder:
        raise AssertionError("nothing is to be encoded")

    vectors = np.eye(48, dtype=np.float32) * 7
    with closing(make(load=no_encoder)) as catalog:
        rows = [Embedding(f"p{row}", vectors[row] + 0.1 * vectors[0], {"row": row}) for row in range(20)]
        bad = [Embedding("zero", vectors[0] * 0), Embedding("short", vectors[0][:3])]
        ended = {each.product_id: each.code for each in catalog.put_embeddings(rows + bad)}
        assert {each: code for each, code in ended.items() if code} == {
            "zero": "image_featureless",
            "short": "vector_invalid",
        }
        assert catalog.count() == 20
        assert catalog.search(vectors[4], limit=1)[0].product_id == "p4"
        np.testing.assert_allclose(
            next(e for e in catalog.embeddings() if e.product_id == "p4").features, rows[4].features
        )


@pytest.mark.parametrize("vector", [np.zeros(48), np.full(48, np.nan), np.ones(47), np.ones((2, 48))])
def test_a_vector_that_points_nowhere_is_refused(catalog: Catalog, vector: Any) -> None:
    with pytest.raises(InvalidVector):
        catalog.search(vector.astype(np.float32))


@pytest.mark.parametrize(
    "options", [{"limit": 0}, {"limit": 1001}, {"offset": -1}, {"min_score": 1.1}, {"min_score": float("nan")}]
)
def test_limits_are_kept(catalog: Catalog, options: dict[str, float]) -> None:
    with pytest.raises(InvalidInput):
        catalog.search(np.ones(48, np.float32), **options)  # type: ignore[arg-type]


def test_vectors_of_another_encoder_never_mix(make: Callable[..., Catalog]) -> None:
    with closing(make(load=lambda: StubEncoder("stub/other/32-nearest"))) as catalog:
        with pytest.raises(EncoderMismatch, match="stub/other"):
            list(catalog.put(shoes()))
        with pytest.raises(EncoderMismatch):
            catalog.search_image(picture(RED))
        assert catalog.count() == 0


def test_an_unknown_fingerprint_is_learned_once(make: Callable[..., Catalog]) -> None:
    saved: list[CatalogSpec] = []
    known = make().spec
    with closing(make(spec=replace(known, fingerprint=None), save=saved.append)) as catalog:
        states(catalog, *shoes())
        assert [spec.fingerprint for spec in saved] == [known.fingerprint]
        assert catalog.spec == known


def test_a_full_disk_ends_the_run_and_keeps_what_is_done(make: Callable[..., Catalog]) -> None:
    checks = iter(range(1000))

    def check_space(planned: int) -> None:
        if next(checks) > 40:
            raise DataFull("full")

    with closing(make(check_space=check_space)) as catalog:
        done = []
        with pytest.raises(DataFull):
            for outcome in catalog.put(put(f"p{n}", picture(RED, n, size=16)) for n in range(100)):
                done.append(outcome)
        assert 0 < len(done) < 100
        assert catalog.count() == len(done)


def test_images_and_thumbnails_are_kept(catalog: Catalog) -> None:
    original = picture(RED, size=640)
    states(catalog, put("a", original))
    assert catalog.image("a") == original
    thumbnail = Image.open(io.BytesIO(catalog.thumbnail("a")))
    assert (thumbnail.format, thumbnail.size) == ("WEBP", (320, 320))
    list(catalog.put_embeddings([Embedding("imported", np.ones(48, np.float32))]))
    with pytest.raises(MediaNotFound, match="imported"):
        catalog.thumbnail("imported")


def test_a_query_that_is_no_picture_is_refused(catalog: Catalog) -> None:
    with pytest.raises(ImageUnsupported):
        catalog.search_image(b"no picture")


def test_a_product_id_is_found_by_exactly_itself(catalog: Catalog) -> None:
    ids = ["a/b", "..", "a%2Fneighbors", "übung", "名前", "a b", "x" * 512, "caf\u00e9", "cafe\u0301", "🙂"]
    states(catalog, *(put(each, picture(RED, number)) for number, each in enumerate(ids)))
    assert [catalog.get(each).product_id for each in ids] == ids


OLD_IDS = ["WS-1 ", "WS-1\u00a0", "\ufeffa", "a\0b", " "]
"""IDs that a put took before, and takes no more."""


def test_products_with_ids_that_a_put_refuses_are_kept_and_changed(catalog: Catalog) -> None:
    imported = [Embedding(each, np.arange(1, 49, dtype=np.float32) + n, {"n": n}) for n, each in enumerate(OLD_IDS)]
    assert {each.state for each in catalog.put_embeddings(imported)} == {State.APPLIED}
    for each in OLD_IDS:
        [outcome] = catalog.put([put(each, picture(RED))])
        assert outcome.code == "product_id_invalid" and repr(each) in (outcome.message or "")
        assert catalog.patch(each, {"seen": True}).attributes["seen"] is True
        assert len(catalog.neighbors(each)) == len(OLD_IDS) - 1
        assert catalog.count(parse({"must": {"has_id": [each]}})) == 1
    points = list(catalog.points())
    catalog.remove(OLD_IDS)
    assert catalog.count() == 0
    again = [replace(point, version=100) for point in points]
    assert catalog.copy(again) == len(OLD_IDS)
    assert {each.product_id for each in catalog.points()} == set(OLD_IDS)


def test_a_change_that_was_accepted_under_such_an_id_is_applied(catalog: Catalog) -> None:
    """By a service that took more: a change has a version from when it was accepted."""
    accepted = [put(each, picture(RED), version=7) for each in OLD_IDS]
    assert {each.state for each in catalog.apply(accepted)} == {State.APPLIED}


def test_versions_go_on_after_reopening(make: Callable[..., Catalog], index: VectorIndex) -> None:
    catalog = make()
    states(catalog, put("a", picture(RED)), put("b", picture(BLUE)))
    catalog.remove(["b"])
    again = make()
    states(again, put("b", picture(GREEN)))
    point = index.get(["b"])[0]
    assert isinstance(point, Point) and point.version == 4
