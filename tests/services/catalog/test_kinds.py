"""Values of indexed attributes are of the declared kinds, or the change fails; those from before stay."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from services.catalog.catalog import Catalog
from services.descriptions import AttributeKind
from services.errors import AttributeNotIndexed, Conflict, InvalidAttributes, InvalidInput
from services.query.filters import parse
from services.records import Change, ChangeKind, Embedding, Facet, OtherKinds, Pixels, Vectors
from services.testing import StubEncoder, picture

RED, BLUE = picture((220, 30, 30)), picture((30, 40, 210))
KINDS = {
    "color": AttributeKind.KEYWORD,
    "stock": AttributeKind.INTEGER,
    "price": AttributeKind.FLOAT,
    "sale": AttributeKind.BOOL,
}
WRONG: list[dict[str, Any]] = [
    {"color": 7},
    {"stock": 3.7},
    {"price": "on request"},
    {"sale": "true"},
    {"price": True},
    {"color": ["red", 1]},
]


def put(product_id: str, attributes: Any = None, image: bytes = RED) -> Change:
    return Change(product_id, image=image, attributes=attributes)


def patch(product_id: str, attributes: Any) -> Change:
    return Change(product_id, ChangeKind.PATCH, attributes=attributes)


def ended(catalog: Catalog, *changes: Change) -> list[str]:
    """The state of each, or the code of a failed one."""
    return [outcome.code or outcome.state.value for outcome in catalog.apply(changes)]


def features() -> Vectors:
    return np.ones(48, np.float32)


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_a_value_of_another_kind_costs_its_change_only(catalog: Catalog, wrong: dict[str, Any]) -> None:
    catalog.declare(KINDS)
    ended(catalog, put("a", {"n": 1}), put("b"))
    assert ended(catalog, put("new", wrong), patch("a", wrong), put("b", {"stock": 12.0})) == [
        "attributes_invalid", "attributes_invalid", "applied"
    ]  # fmt: skip
    with pytest.raises(InvalidAttributes, match=f"{next(iter(wrong))} is declared as"):
        catalog.patch("a", wrong)
    [outcome] = catalog.put_embeddings([Embedding("a", features(), wrong)])
    assert (outcome.code, catalog.count()) == ("attributes_invalid", 2)
    assert [repr(catalog.get(each).attributes) for each in "ab"] == ["{'n': 1}", "{'stock': 12}"]


def test_what_fits_is_read_back_as_it_was_sent_and_null_removes(catalog: Catalog) -> None:
    catalog.declare(KINDS)
    sent = {"color": ["red", "blue"], "stock": [1, 2], "price": 12, "sale": True, "other": [1, "a"]}
    assert ended(catalog, put("a", sent)) == ["applied"]
    assert repr(catalog.get("a").attributes) == repr(sent)
    assert repr(catalog.patch("a", {"price": None, "stock": 7.0, "color": None}).attributes) == repr(
        {"stock": 7, "sale": True, "other": [1, "a"]}
    )
    [outcome] = catalog.put_embeddings([Embedding("a", features(), {"stock": 8.0})])
    assert (outcome.code, repr(catalog.get("a").attributes)) == (None, "{'stock': 8}")


def test_values_from_before_a_declaration_stay_and_a_patch_is_judged_on_what_it_sets(catalog: Catalog) -> None:
    old = {"price": "on request", "color": 7}
    ended(catalog, put("old", old), put("new", {"price": 12, "color": "red"}))
    assert catalog.declare(KINDS) == {
        "price": OtherKinds(AttributeKind.FLOAT, 1, {"old": '"on request"'}),
        "color": OtherKinds(AttributeKind.KEYWORD, 1, {"old": "7"}),
    }
    assert catalog.patch("old", {"stock": 3}).attributes == old | {"stock": 3}
    assert ended(catalog, put("old", image=BLUE)) == ["applied"]
    [outcome] = catalog.put_embeddings([Embedding("old", features())])
    assert (outcome.code, catalog.get("old").attributes) == (None, old | {"stock": 3})
    assert ended(catalog, put("old", old)) == ["attributes_invalid"]
    # Filters and facets go on, over what there is.
    assert catalog.count(parse({"must": {"key": "color", "match": {"except": ["red"]}}})) == 1
    assert catalog.facets("color") == [Facet("red", 1)]
    catalog.patch("old", {"color": "red", "price": None})
    assert catalog.declare(KINDS) == {}
    assert catalog.facets("color") == [Facet("red", 2)]


def test_facets_without_an_index_are_those_with_one(catalog: Catalog) -> None:
    values: list[Any] = ["red", ["red", "red", "blue"], ["green", None], None, [], "blue", "red"]
    ended(catalog, *(put(f"p{n}", {"color": value, "n": n}) for n, value in enumerate(values)))
    catalog.declare({"color": AttributeKind.KEYWORD, "price": AttributeKind.FLOAT})
    few = parse({"must": {"key": "n", "range": {"lt": 5}}})
    with_index = [catalog.facets('"color"'), catalog.facets("color", limit=1), catalog.facets("color", filter=few)]
    assert with_index[0] == [Facet("red", 3), Facet("blue", 2), Facet("green", 1)]
    # As a copy of an older catalog may bring them.
    [point, *_] = catalog.points()
    catalog.copy([type(point)("odd", 100, point.vector, attributes={"color": [1, True]})])
    with pytest.raises(AttributeNotIndexed):
        catalog._index.facets("color")
    assert with_index == [
        catalog.facets('"color"'), catalog.facets("color", limit=1), catalog.facets("color", filter=few)
    ]  # fmt: skip
    for attribute in ("price", "n", "a..b"):
        with pytest.raises(AttributeNotIndexed):
            catalog.facets(attribute)


def test_a_declaration_that_comes_while_images_are_encoded_counts(make: Callable[..., Catalog]) -> None:
    class Declaring(StubEncoder):
        def encode(self, pixels: Pixels) -> Vectors:
            catalog.declare(KINDS)
            return super().encode(pixels)

    catalog = make(load=Declaring)
    assert ended(catalog, put("a", {"price": "on request"}), put("b", {"stock": 1.0})) == [
        "attributes_invalid", "applied"
    ]  # fmt: skip
    assert (catalog.count(), repr(catalog.get("b").attributes)) == (1, "{'stock': 1}")


def test_a_copy_brings_what_another_catalog_has(catalog: Catalog, make: Callable[..., Catalog]) -> None:
    """Backups and migrations lose nothing."""
    ended(catalog, put("a", {"price": "on request"}))
    points = [*catalog.points()]
    catalog.remove(["a"])
    catalog.declare(KINDS)
    assert catalog.copy([type(each)(each.product_id, 100, each.vector, attributes=each.attributes) for each in points])
    assert catalog.get("a").attributes == {"price": "on request"}
    assert catalog.declare(KINDS)["price"].examples == {"a": '"on request"'}


def test_a_kind_once_declared_stays(catalog: Catalog) -> None:
    catalog.declare({"color": AttributeKind.KEYWORD})
    with pytest.raises(Conflict, match="color is indexed as keyword already"):
        catalog.declare({"new": AttributeKind.BOOL, "color": AttributeKind.INTEGER})
    with pytest.raises(InvalidInput):
        catalog.declare({"new": AttributeKind.BOOL, "a..b": AttributeKind.BOOL})
    assert catalog.spec.indexed_attributes == {"color": AttributeKind.KEYWORD}
