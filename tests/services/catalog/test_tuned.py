"""Tuned features of a catalog: learned from its pictures, the same wherever they are made, and kept with it."""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from indexes import QDRANT_URL, SERVER
from PIL import Image
from shops import Place, at_url, of_live, shop, told

from services.catalog.catalog import Catalog
from services.catalog.catalogs import Catalogs
from services.catalog.generations import Generations
from services.catalog.opening import new_spec
from services.catalog.passes import Pass
from services.descriptions import COLOR_DIM, LAYERS_DIM, CatalogSpec, Features, Form
from services.encoders.encoder import Encoder
from services.encoders.tuned.color import color_histograms, recipe
from services.encoders.tuned.learned import from_bytes
from services.errors import FeaturesNotFound, GenerationUnchanged, ImageFeatureless, InvalidInput, TooFewImages
from services.images.decoder import Decoder
from services.query.filters import parse
from services.records import Change, ChangeKind, Neighbor, State
from services.testing import load_stub, picture

FEWEST = 12
COUNT = 16


@pytest.fixture(params=["folder", pytest.param("twin", marks=pytest.mark.long), SERVER])
def place(request: pytest.FixtureRequest, tmp_path: Path, twin_url: str, decoder: Decoder) -> Place:
    return Place(tmp_path, decoder, {"folder": "", "twin": twin_url, "server": QDRANT_URL}[request.param])


@pytest.fixture
def catalogs(place: Place) -> Iterator[Catalogs]:
    with place.opened() as catalogs:
        yield catalogs


def image(number: int) -> bytes:
    """Some are wide, so that it shows whether they were padded or stretched."""
    cells = np.random.default_rng(number).integers(0, 256, (3, 3 + number % 4, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(cells.repeat(6, axis=0).repeat(6, axis=1)).save(out, "PNG")
    return out.getvalue()


def put(number: int, version: int | None = None) -> Change:
    return Change(f"p{number}", image=image(number), attributes={"n": number, "even": number % 2 == 0}, version=version)


def filled(catalogs: Catalogs, count: int = COUNT) -> Catalog:
    catalog = catalogs.create(shop())
    catalog.apply([put(number) for number in range(count)])
    return catalog


def generations(catalogs: Catalogs) -> Generations:
    return Generations(catalogs, "shop", page=5, fewest=FEWEST)


def tuned(catalogs: Catalogs, count: int = COUNT) -> Catalog:
    """The catalog with tuned features, live."""
    filled(catalogs, count)
    generations(catalogs).reindex({"features": "tuned"}, promote=True)
    return catalogs.get("shop")


def expected(catalogs: Catalogs, spec: CatalogSpec, picture: bytes) -> Any:
    """What the features of a picture are, made step by step."""
    assert spec.learned is not None
    pixels = catalogs.intake.picture_now(picture, Form(320, "nearest", "pad")).pixels[np.newaxis]
    stub = load_stub(spec.encoder, spec.weights, spec.resample, None, "tuned")  # type: ignore[arg-type]
    learned = from_bytes(catalogs.intake.media.read_object(spec.learned))
    return learned.apply(stub.encode(pixels), color_histograms(pixels))[0]


def scored(found: Sequence[Neighbor]) -> dict[str, float]:
    """The scores of neighbors, which may differ in their last digits, in the order in which they were found."""
    return {each.product_id: each.score for each in found}


def features_of(catalog: Catalog) -> dict[str, Any]:
    return {each.product_id: each.features for each in catalog.embeddings()}


def test_every_picture_has_the_features_that_were_learned(catalogs: Catalogs) -> None:
    catalog = tuned(catalogs)
    spec = catalog.spec
    assert (spec.features, spec.dim, catalog.count()) == ("tuned", LAYERS_DIM + COLOR_DIM, COUNT)
    assert spec.fingerprint == f"stub/efficientnet_lite0/random:1/nearest/tuned-{recipe()}-{spec.learned}"
    catalog.apply([put(COUNT + 3)])
    found = features_of(catalog)
    for number in (*range(COUNT), COUNT + 3):
        np.testing.assert_allclose(found[f"p{number}"], expected(catalogs, spec, image(number)), atol=1e-5)


def test_a_picture_that_is_in_the_catalog_finds_itself_in_whatever_process(place: Place) -> None:
    """A worker and the query encoder of another process agree to 1e-5."""
    with place.opened() as worker:
        tuned(worker)
        stored = features_of(worker.get("shop"))
    with place.opened() as other:
        catalog = other.get("shop")
        for number in range(COUNT):
            [best] = catalog.search_image(image(number), limit=1)
            assert (best.product_id, best.score) == (f"p{number}", pytest.approx(1, abs=1e-5))
        put_again = catalog.apply([put(number, version=1000 + number) for number in range(COUNT)])
        assert {each.state for each in put_again} == {State.UNCHANGED}
        for product_id, features in features_of(catalog).items():
            np.testing.assert_allclose(features, stored[product_id], atol=1e-5)


def test_changes_go_to_it_while_it_is_built_and_after_the_switch_back(catalogs: Catalogs) -> None:
    filled(catalogs)
    found = generations(catalogs)
    began = found.begin({"features": "tuned"})

    def change(done: Pass) -> None:
        version = 1000 + done.products
        catalogs.get("shop").apply([put(done.products % COUNT + 40, version), Change("p1", ChangeKind.DELETE)])

    found.build(began.id, watch=change)
    found.promote(began.id)
    catalog = catalogs.get("shop")
    assert "p1" not in features_of(catalog)
    for product_id, features in features_of(catalog).items():
        np.testing.assert_allclose(features, expected(catalogs, catalog.spec, image(int(product_id[1:]))), atol=1e-5)
    of_tuned = told(catalog._index)
    found.rollback()
    head = catalogs.get("shop")
    assert (head.spec.features, head.spec.learned, head.spec.dim) == ("head", None, 1280)
    head.apply([put(90, 5000)])
    assert catalogs.background.wait(20)
    assert told(head._index)["points"].keys() == of_tuned["points"].keys() | {"p90"}
    found.promote(began.id)
    assert features_of(catalogs.get("shop")).keys() == of_tuned["points"].keys() | {"p90"}


def test_too_few_pictures_are_refused_before_anything_is_built(catalogs: Catalogs) -> None:
    filled(catalogs, FEWEST - 1)
    found = generations(catalogs)
    for refused in (lambda: found.check({"features": "tuned"}), lambda: found.begin({"features": "tuned"})):
        with pytest.raises(TooFewImages, match=r"shop has 11 products .* at least 12: add products, or keep"):
            refused()
    with pytest.raises(TooFewImages, match="at least 1,000"):
        Generations(catalogs, "shop").begin({"features": "tuned"})
    assert len(found.all()) == 1
    with pytest.raises(TooFewImages, match="new catalog has no pictures"):
        new_spec("other", "efficientnet_lite0", "random:1", features="tuned")


def test_products_whose_pictures_are_gone_do_not_count(place: Place) -> None:
    with place.opened() as catalogs:
        filled(catalogs)
        media = catalogs.intake.media
        gone = [each.image for each in catalogs.get("shop").points()][: COUNT - FEWEST + 1]
        for hash in gone:
            media.remove(hash or "")
        with pytest.raises(TooFewImages, match="has 11 products with pictures that can be had"):
            generations(catalogs).begin({"features": "tuned"})
        # What is at a product's URL counts.
        catalogs.get("shop").apply([Change("url", image=at_url(2, 3))])
        media.remove(catalogs.get("shop").get("url").image or "")
        assert generations(catalogs).begin({"features": "tuned"}).features == "tuned"


def test_learning_ends_where_it_is_given_up_and_begins_anew(catalogs: Catalogs) -> None:
    filled(catalogs)

    class GivenUp(Exception):
        pass

    def give_up(count: int) -> None:
        if count:
            raise GivenUp

    with pytest.raises(GivenUp):
        generations(catalogs).begin({"features": "tuned"}, give_up)
    assert len(generations(catalogs).all()) == 1
    assert generations(catalogs).begin({"features": "tuned"}).learned


def test_what_was_learned_stays_unless_the_features_are_named(catalogs: Catalogs) -> None:
    live = tuned(catalogs).spec
    found = generations(catalogs)
    with pytest.raises(GenerationUnchanged):
        found.check({"encoder": live.encoder})
    scalar = found.begin({"quantization": "scalar"})
    assert (scalar.learned, scalar.fingerprint) == (live.learned, live.fingerprint)
    found.drop(scalar.id)
    catalogs.get("shop").apply([put(number) for number in range(COUNT, COUNT + 5)])
    assert found.begin({"features": "tuned"}).learned not in (None, live.learned)


def test_networks_are_shared_by_whatever_learned_from_them(place: Place) -> None:
    loaded = []

    def load(name: str, weights: str, resample: Any, settings: Any, features: Features) -> Encoder:
        loaded.append(features)
        return load_stub(name, weights, resample, settings, features)

    with place.opened(load) as catalogs:
        tuned(catalogs)
        catalogs.get("shop").apply([put(number) for number in range(COUNT, COUNT + 5)])
        generations(catalogs).reindex({"features": "tuned"})
    assert sorted(loaded) == ["head", "tuned"]


def test_a_network_that_was_loaded_in_vain_is_let_go(place: Place) -> None:
    loaded = []

    def load(name: str, weights: str, resample: Any, settings: Any, features: Features) -> Encoder:
        loaded.append(features)
        return load_stub(name, weights, resample, settings, features)

    def give_up(count: int) -> None:
        if count:
            raise KeyboardInterrupt

    with place.opened(load) as catalogs:
        filled(catalogs)
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                generations(catalogs).begin({"features": "tuned"}, give_up)
    assert loaded == ["head", "tuned", "tuned"]


def test_what_is_missing_of_it_is_named_and_nothing_is_lost(place: Place) -> None:
    with place.opened() as catalogs:
        spec = tuned(catalogs).spec
        before = of_live(catalogs.get("shop"))
    media = (place.path / "data" if not place.is_shared else place.path) / "media"
    [file] = media.glob(f"objects/*/*/{spec.learned}")
    whole = file.read_bytes()
    for damage in (lambda: file.unlink(), lambda: file.write_bytes(whole[:-1])):
        damage()
        with place.opened() as catalogs:
            catalog = catalogs.get("shop")
            assert catalog.neighbors("p1", limit=1) and catalog.load_encoder() is None
            with pytest.raises(FeaturesNotFound, match=f"{spec.learned}.* restore that folder or a backup"):
                catalog.apply([put(50)])
            with pytest.raises(FeaturesNotFound):
                catalog.search_image(image(1))
            assert of_live(catalog) == before
    file.write_bytes(whole)
    with place.opened() as catalogs:
        assert catalogs.get("shop").apply([put(50)])[0].state is State.APPLIED


def test_what_is_lost_can_be_learned_again(place: Place) -> None:
    with place.opened() as catalogs:
        learned = tuned(catalogs).spec.learned
    media = (place.path / "data" if not place.is_shared else place.path) / "media"
    [file] = media.glob(f"objects/*/*/{learned}")
    file.write_bytes(bytes(file.stat().st_size))
    with place.opened() as catalogs:
        catalog = catalogs.get("shop")
        catalog.remove(["p1"])
        generations(catalogs).reindex({"features": "tuned"}, promote=True)
        [best] = catalogs.get("shop").search_image(image(3), limit=1)
        assert (best.product_id, best.score) == ("p3", pytest.approx(1, abs=1e-5))


def test_a_picture_without_features_is_refused_for_itself(catalogs: Catalogs) -> None:
    catalog = tuned(catalogs)
    black = picture((-100, -100, -100), size=16)  # of which the stub sees nothing
    outcomes = catalog.apply([Change("black", image=black), put(60)])
    assert [each.code for each in outcomes] == [ImageFeatureless.code, None]


def test_colors_weigh_more_where_that_is_asked_for(catalogs: Catalogs) -> None:
    catalog = tuned(catalogs)
    vectors = {each.product_id: each.vector for each in catalog.points()}

    def cosines(weight: float) -> dict[str, float]:
        scale = np.repeat([1, weight], [LAYERS_DIM, COLOR_DIM])
        query = vectors["p1"] * scale
        return {name: float(vector @ query / np.linalg.norm(query)) for name, vector in vectors.items() if name != "p1"}

    for weight in (0, 0.5, 1, 5, 10):
        found = catalog.neighbors("p1", limit=COUNT, color_weight=weight)
        scores = {each.product_id: each.score for each in found}
        assert scores == pytest.approx(cosines(weight), abs=1e-5)
        assert [each.score for each in found] == sorted(scores.values(), reverse=True)
    assert scored(catalog.neighbors("p1", color_weight=1)) == pytest.approx(scored(catalog.neighbors("p1")), abs=1e-6)
    own = catalog.search(vectors["p1"], limit=1, color_weight=5)[0]
    assert own.score < 0.99 and catalog.search_image(image(1), color_weight=5, limit=1)[0].score == pytest.approx(
        own.score, abs=1e-5
    )


def test_a_color_weight_that_cannot_be_is_refused(catalogs: Catalogs) -> None:
    head = filled(catalogs)
    with pytest.raises(InvalidInput, match=r"shop has head features, .* leave out color_weight"):
        head.neighbors("p1", color_weight=1)
    generations(catalogs).reindex({"features": "tuned"}, promote=True)
    for weight in (-0.1, 10.1, float("nan"), float("inf")):
        with pytest.raises(InvalidInput, match=r"color weight .* from 0 to 10"):
            catalogs.get("shop").neighbors("p1", color_weight=weight)


def test_a_second_look_orders_the_same_products_otherwise_page_by_page(catalogs: Catalogs) -> None:
    catalog = tuned(catalogs, 60)
    even = parse('{"must": [{"key": "even", "match": {"value": true}}]}')
    for options in ({}, {"filter": even}, {"min_score": 0.1}, {"color_weight": 3.0}):
        plain = catalog.neighbors("p1", limit=100, **options)  # type: ignore[arg-type]
        again = catalog.neighbors("p1", limit=100, rerank=True, **options)  # type: ignore[arg-type]
        assert scored(again) == pytest.approx(scored(plain), abs=1e-6)
        assert scored(again[:50]).keys() == scored(plain[:50]).keys()
        assert [*scored(again[50:])] == [*scored(plain[50:])]
        pages = [catalog.neighbors("p1", limit=20, offset=at, rerank=True, **options) for at in (0, 20, 40)]  # type: ignore[arg-type]
        assert [each.product_id for page in pages for each in page] == [*scored(again)]
    assert [*scored(again)] != [*scored(plain)]
