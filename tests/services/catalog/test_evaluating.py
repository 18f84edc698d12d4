"""Generations and recipes are evaluated on a sample of the catalog, against its own labels; nothing is changed."""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shops import FIRST, SECOND, Place, at_url, seen, shop

from services.catalog.catalogs import Catalogs
from services.catalog.evaluating import Evaluating, Evaluation
from services.catalog.generations import Generations
from services.catalog.question import MAX_SAMPLE, Question
from services.descriptions import Features, Resample
from services.errors import (
    EncoderUnknown,
    GenerationNotFound,
    GenerationUnchanged,
    InvalidInput,
    LabelUnusable,
    TooFewImages,
    WeightsInvalid,
)
from services.images.decoder import Decoder
from services.records import Change, Pixels, RemoteImage, Vectors
from services.settings import Settings
from services.testing import StubEncoder, load_stub

BLIND = "random:666"
"""Weights that see noise."""


class Blind(StubEncoder):
    def encode(self, pixels: Pixels) -> Vectors:
        noise = [np.random.default_rng([*sha256(each.tobytes()).digest()]).random(self.dim) for each in pixels]
        return np.array(noise, np.float32)


def load(name: str, weights: str, resample: Resample, settings: Settings, features: Features) -> StubEncoder:
    stub = load_stub(name, weights, resample, settings, features)
    return Blind(stub.fingerprint, size=stub.size, dim=stub.dim) if weights == BLIND else stub


@pytest.fixture
def place(tmp_path: Path, decoder: Decoder) -> Place:
    return Place(tmp_path, decoder)


@pytest.fixture
def catalogs(place: Place) -> Iterator[Catalogs]:
    with place.opened(load) as catalogs:
        catalogs.create(shop())
        yield catalogs


def put(catalogs: Catalogs, changes: Sequence[Change]) -> None:
    outcomes = catalogs.get("shop").put(changes)
    assert {each.state.value for each in outcomes} == {"applied"}


def product(number: int, **more: Any) -> Change:
    """One of five colors, and variants of each; the label knows the color."""
    picture = more.pop("picture", None) or seen(number % 5, number)
    attributes = {"kind": f"k{number % 5}", "model": f"m{number // 10}"} | more
    return Change(f"p{number:03}", image=picture, attributes=attributes)


@pytest.fixture
def filled(catalogs: Catalogs) -> Catalogs:
    put(catalogs, [product(number) for number in range(40)])
    return catalogs


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory, decoder: Decoder) -> Iterator[Catalogs]:
    """The same for tests that change nothing."""
    with Place(tmp_path_factory.mktemp("stocked"), decoder).opened(load) as catalogs:
        catalogs.create(shop())
        put(catalogs, [product(number) for number in range(40)])
        yield catalogs


def asked(catalogs: Catalogs, *labels: str, **question: Any) -> Evaluation:
    return Evaluating(catalogs, "shop", Question(labels or ("kind",), **question)).evaluate()


def precision(found: Evaluation) -> list[float]:
    """precision@5 of each column."""
    return [each["precision@5"]["mean"] for each in found["labels"][0]["figures"]]


def test_the_next_generation_is_evaluated_before_anybody_promotes(filled: Catalogs) -> None:
    generations = Generations(filled, "shop")
    id, _ = generations.reindex({"weights": BLIND})
    found = asked(filled, "kind", "model")
    assert (found["catalog"], found["sample"], found["products"]) == ("shop", 40, 40)
    assert [(each["name"], each["generation"], each["weights"], each["missing"]) for each in found["columns"]] == [
        ("live", generations.live(), "random:1", 0),
        ("next", id, BLIND, 0),
    ]
    kind, model = found["labels"]
    assert (kind["label"], kind["queries"], kind["values"], model["label"], model["values"]) == (
        "kind",
        40,
        5,
        "model",
        4,
    )
    assert precision(found)[0] == 1.0 > 0.5 > precision(found)[1]
    [compared] = kind["compared"]
    assert {each["verdict"] for each in compared["differences"].values()} == {"worse"}
    assert [each["value"] for each in compared["values"] if each["verdict"] == "worse"]
    assert json.loads(json.dumps(found)) == found == asked(filled, "kind", "model"), "it is the same each time"


def test_a_recipe_gives_what_a_generation_of_it_would_and_stores_nothing(filled: Catalogs, place: Place) -> None:
    before = place.names(filled), filled.get("shop").spec, sorted(place.path.rglob("originals/**/*"))
    encoders: Any = filled._encoders
    loaded = set(encoders._shared)
    found = asked(filled, recipe={"encoder": SECOND, "weights": BLIND})
    assert (place.names(filled), filled.get("shop").spec, sorted(place.path.rglob("originals/**/*"))) == before
    assert set(encoders._shared) == loaded, "its encoder is not kept in memory"
    recipe = found["columns"][1]
    assert (recipe["name"], recipe["generation"], recipe["encoder"], recipe["missing"], recipe["faults"]) == (
        "recipe",
        None,
        SECOND,
        0,
        {},
    )
    id, _ = Generations(filled, "shop").reindex({"encoder": SECOND, "weights": BLIND})
    assert asked(filled, generations=(id,))["labels"] == found["labels"]


def test_tuned_features_learn_for_the_occasion_as_for_a_generation(filled: Catalogs, place: Place) -> None:
    def tuned(**question: Any) -> Evaluation:
        return Evaluating(filled, "shop", Question(("kind", "model"), **question), fewest=30).evaluate()

    before = place.names(filled), filled.get("shop").spec, sorted(place.path.rglob("media/**/*"))
    encoders: Any = filled._encoders
    loaded = set(encoders._shared)
    found = tuned(recipe={"features": "tuned"})
    assert (place.names(filled), filled.get("shop").spec, sorted(place.path.rglob("media/**/*"))) == before
    assert set(encoders._shared) == loaded, "its encoder is not kept in memory"
    assert [each["features"] for each in found["columns"]] == ["head", "tuned"]
    id, _ = Generations(filled, "shop", fewest=30).reindex({"features": "tuned"})
    built = tuned(generations=(id,))
    for one, other in zip(found["labels"], built["labels"], strict=True):
        for metric, figure in one["figures"][1].items():
            assert figure == pytest.approx(other["figures"][1][metric], abs=1e-3)
    checks = 0

    def check() -> None:
        nonlocal checks
        checks += 1
        raise InterruptedError

    with pytest.raises(InterruptedError):
        Evaluating(filled, "shop", Question(("kind",), recipe={"features": "tuned"}), fewest=30).evaluate(check=check)
    assert checks == 1 and set(encoders._shared) >= loaded


def test_a_recipe_is_compared_beside_generations(filled: Catalogs) -> None:
    id, _ = Generations(filled, "shop").reindex({"quantization": "scalar"})
    found = asked(filled, recipe={"weights": BLIND}, generations=(id,))
    assert [each["name"] for each in found["columns"]] == ["live", "next", "recipe"]
    same, other = found["labels"][0]["compared"]
    assert [each["mean"] for each in same["differences"].values()] == [0.0] * 4 and same["worst"] == []
    assert {each["verdict"] for each in other["differences"].values()} == {"worse"}


def test_pictures_of_a_recipe_come_from_originals_then_from_urls_that_give_the_same(catalogs: Catalogs) -> None:
    put(catalogs, [product(number) for number in range(10)])
    there = [product(10 + number, picture=at_url(number, 0)) for number in range(5)]
    put(catalogs, there)
    media = catalogs.intake.media
    for number in range(2):  # one that has no URL, and is kept nowhere
        media.remove(sha256(seen(number % 5, number)).hexdigest())
    for number in range(5):
        media.remove(sha256(seen(number, 0)).hexdigest())
    fetcher: Any = catalogs.intake.fetcher
    changed: Any = there[0].image
    gone: Any = there[1].image
    assert isinstance(changed, RemoteImage)
    fetcher.images[changed.url] = seen(4, 99)
    del fetcher.images[gone.url]
    found = asked(catalogs, recipe={"encoder": SECOND})
    recipe = found["columns"][1]
    assert recipe["missing"] == sum(recipe["faults"].values()) == 4
    assert recipe["faults"] == {"media_not_found": 3, "fetch_not_found": 1}
    assert (found["sample"], found["products"]) == (15, 11)


def test_what_a_generation_lacks_is_left_out_of_all(filled: Catalogs) -> None:
    filled.intake.media.remove(sha256(seen(3, 3)).hexdigest())
    Generations(filled, "shop").reindex({"weights": BLIND})
    found = asked(filled)
    assert [each["missing"] for each in found["columns"]] == [0, 1]
    assert (found["products"], found["labels"][0]["queries"]) == (39, 39)


def test_without_another_generation_the_live_one_is_evaluated_alone(filled: Catalogs) -> None:
    found = asked(filled)
    assert [each["name"] for each in found["columns"]] == ["live"] and found["labels"][0]["compared"] == []
    generations = Generations(filled, "shop")
    for weights in ("random:2", "random:3"):
        generations.reindex({"weights": weights}, promote=True)
    assert [each["name"] for each in asked(filled)["columns"]] == ["live"], "of several, none is meant"
    all = tuple(each.id for each in generations.all())
    assert [each["name"] for each in asked(filled, generations=all)["columns"]] == ["live", "previous", "previous 2"]


def test_a_group_is_left_out_of_its_own_answers(stocked: Catalogs) -> None:
    found = asked(stocked, group="model")
    label = found["labels"][0]
    assert (label["queries"], label["observations"], found["group"]) == (40, 4, "model")
    with pytest.raises(LabelUnusable, match="0 share it with another"):
        asked(stocked, group="kind")


def test_products_without_a_label_are_counted_and_not_encoded(catalogs: Catalogs) -> None:
    put(catalogs, [product(number) for number in range(20)])
    put(catalogs, [Change(f"bare{number}", image=seen(number, 50 + number), attributes={}) for number in range(7)])
    put(catalogs, [product(30, material="wool"), product(31, material="wool"), product(32, material="silk")])
    found = asked(catalogs, "kind", "material", recipe={"weights": BLIND})
    kind, material = found["labels"]
    assert (kind["unlabeled"], kind["alone"], kind["queries"]) == (7, 0, 23)
    assert (material["unlabeled"], material["alone"], material["queries"]) == (27, 1, 2)
    assert (found["sample"], found["products"]) == (30, 23)


def test_a_sample_is_a_part_of_the_catalog_and_its_progress_is_told(catalogs: Catalogs) -> None:
    put(catalogs, [product(number) for number in range(130)])
    told: list[tuple[int, int]] = []
    evaluating = Evaluating(catalogs, "shop", Question(("kind",), sample=100))
    found = evaluating.evaluate(lambda done, total: told.append((done, total)))
    assert (found["sample"], found["products"]) == (100, 100)
    assert told == [(0, 100), (64, 100), (100, 100)]
    whole = Evaluating(catalogs, "shop", Question(("kind",))).evaluate()
    assert (whole["sample"], whole["products"]) == (130, 130), "each product once"


@pytest.mark.parametrize("page", [0, 1])
def test_it_ends_where_its_watch_says_so(stocked: Catalogs, page: int) -> None:
    class Stop(Exception):
        pass

    told = 0

    def watch(done: int, total: int) -> None:
        nonlocal told
        told += 1
        if told > page:
            raise Stop

    encoders: Any = stocked._encoders
    loaded = set(encoders._shared)
    with pytest.raises(Stop):
        Evaluating(stocked, "shop", Question(("kind",), recipe={"weights": BLIND})).evaluate(watch)
    assert set(encoders._shared) == loaded

    def check() -> None:
        raise Stop

    with pytest.raises(Stop):
        Evaluating(stocked, "shop", Question(("kind",))).evaluate(check=check)


@pytest.mark.parametrize(
    ("question", "error", "said"),
    [
        ({"labels": ("kinds",)}, LabelUnusable, "at kinds: perhaps kind is meant"),
        ({"labels": ("kind",), "group": "modell"}, LabelUnusable, "perhaps model is meant"),
        ({"labels": ("zzz",)}, LabelUnusable, "look at a product to see which attributes there are"),
        ({"labels": ("a..b",)}, InvalidInput, "is no attribute"),
        ({"labels": ()}, InvalidInput, "takes 1 to 8 labels"),
        ({"labels": tuple(f"l{n}" for n in range(9))}, InvalidInput, "these are 9"),
        ({"labels": ("kind",), "sample": 99}, InvalidInput, "100 to 20000"),
        ({"labels": ("kind",), "sample": MAX_SAMPLE + 1}, InvalidInput, "100 to 20000"),
        ({"labels": ("kind",), "generations": ("x",)}, GenerationNotFound, "has no generation 'x'"),
        ({"labels": ("kind",), "generations": tuple("abcde")}, InvalidInput, "up to 4 generations"),
        ({"labels": ("kind",), "recipe": {"encoder": "resnet"}}, EncoderUnknown, "resnet"),
        ({"labels": ("kind",), "recipe": {"weights": "random:x"}}, WeightsInvalid, "random:7"),
        ({"labels": ("kind",), "recipe": {"encoder": FIRST}}, GenerationUnchanged, "is made with"),
        ({"labels": ("kind",), "recipe": {"features": "head"}}, GenerationUnchanged, "other features"),
        ({"labels": ("kind",), "recipe": {"features": "tuned"}}, TooFewImages, "has 40 products"),
    ],
)
def test_what_cannot_be_answered_is_said_before_anything_is_read(
    stocked: Catalogs, question: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        Question(**question).check(stocked.get("shop"))
    read = 0

    def watch(done: int, total: int) -> None:
        nonlocal read
        read += 1

    with suppress(error):
        Evaluating(stocked, "shop", Question(**question)).evaluate(watch)
    assert read == 0


def test_a_question_survives_as_parameters() -> None:
    for question in (
        Question(("a", "b"), "g", ("x",), {"encoder": FIRST}, 500),
        Question(("a",)),
    ):
        assert Question.of(json.loads(json.dumps(question.parameters()))) == question
    assert Question(("a", "b", "a"), generations=("x", "x")).checked() == Question(("a", "b"), generations=("x",))
