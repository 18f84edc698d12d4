"""Between the domain and the JSON of the HTTP API: paths, bodies and answers."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from services.catalog.directions import NAME
from services.catalog.facets import AttributeFacets
from services.catalog.number_facets import Bin, Numbers
from services.catalog.search import SearchOptions
from services.descriptions import AttributeKind, CatalogSpec
from services.errors import DirectionNotFound
from services.names import checked_catalog_name, checked_product_id
from services.query.filters import as_json
from services.query.query import checked_score, checked_weight
from services.records import Explanation, Facet, FilterWarning, Neighbor, OtherKinds, Product, TermShare

CATALOGS = "/v1/catalogs"


def catalog_path(name: str) -> str:
    """The path of a catalog. Raises `InvalidCatalog`."""
    return f"{CATALOGS}/{_segment(checked_catalog_name(name))}"


def product_path(catalog: str, product_id: str) -> str:
    """The path of a product under that of its catalog. Raises `InvalidProductID`."""
    return f"{catalog}/products/{_segment(checked_product_id(product_id))}"


def generation_path(catalog: str, generation: str) -> str:
    """The path of a generation under that of its catalog."""
    return f"{catalog}/generations/{_segment(generation)}"


def direction_path(catalog: str, name: str) -> str:
    """The path of a direction under that of its catalog. Raises `DirectionNotFound` where none can have the name."""
    if not NAME.fullmatch(name):
        raise DirectionNotFound(f"There is no direction {name[:80]!r}: see `lookalike directions list`.")
    return f"{catalog}/directions/{_segment(name)}"


def group_path(catalog: str, group: str) -> str:
    """The path of a group of duplicates under that of its catalog."""
    return f"{catalog}/duplicates/{_segment(group)}"


def to_spec(catalog: Mapping[str, Any]) -> CatalogSpec:
    """A catalog as the API describes it; `id` and `generation` are the service's own and empty here."""
    names = ("name", "encoder", "weights", "resample", "features", "dim", "fingerprint", "created_at", "quantization")
    fields = {name: catalog[name] for name in names}
    kinds = {name: AttributeKind(kind) for name, kind in catalog["indexed_attributes"].items()}
    return CatalogSpec(**fields, id="", generation="", indexed_attributes=kinds)


def to_other_kinds(found: Mapping[str, Any]) -> dict[str, OtherKinds]:
    """The products with values of other kinds, by attribute."""
    return {
        name: OtherKinds(AttributeKind(each["kind"]), each["products"], each["examples"])
        for name, each in found.items()
    }


def to_product(product: Mapping[str, Any]) -> Product:
    known = (product["product_id"], product["attributes"], product["image"], product["version"])
    return Product(*known, url=product.get("image_url"))


def to_neighbor(neighbor: Mapping[str, Any]) -> Neighbor:
    """A product of an answer; what an older service does not say of it is None."""
    explained = neighbor.get("explanation")
    return Neighbor(
        neighbor["product_id"],
        neighbor["score"],
        neighbor["attributes"],
        percentile=neighbor.get("percentile"),
        likeness=neighbor.get("likeness"),
        group=neighbor.get("group"),
        explanation=None if explained is None else _to_explanation(explained),
    )


def _to_explanation(explained: Mapping[str, Any]) -> Explanation:
    terms = tuple(TermShare(each["role"], each["term"], each["share"]) for each in explained["terms"])
    return Explanation(terms, explained["in_common"])


def to_facets(found: Mapping[str, Any]) -> AttributeFacets:
    """The facets of one attribute."""
    values, numbers = found["values"], found["numbers"]
    return AttributeFacets(
        found["key"],
        AttributeKind(found["kind"]),
        None if values is None else tuple(Facet(**each) for each in values),
        numbers and Numbers(**{**numbers, "histogram": tuple(Bin(**each) for each in numbers["histogram"])}),
    )


def to_warning(warning: Mapping[str, Any]) -> FilterWarning:
    return FilterWarning(warning["code"], warning["message"], warning["key"], warning["suggestion"])


def search_json(options: SearchOptions) -> dict[str, Any]:
    """The options of a search without those left out. Raises `InvalidInput` for a number that JSON cannot write."""
    min_score, weight, filter = options.get("min_score"), options.get("color_weight"), options.get("filter")
    checked_score(min_score)
    checked_weight(weight)
    fields = {**options, "filter": filter and as_json(filter)}
    # An older service knows no `rerank`.
    return {name: value for name, value in fields.items() if value is not None and value is not False}


def _segment(text: str) -> str:
    """Text as one segment of a path: dots are quoted, too, where a client would resolve them."""
    return text.replace(".", "%2E") if text in (".", "..") else quote(text, safe="")
