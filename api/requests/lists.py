"""What is asked of the products of a catalog, as models: a list of them, and their facets."""

import re
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from api.errors import Fault, RequestInvalid
from api.requests.browsers import Signed, Signs
from api.requests.models import VECTOR_TOLD, FilterObject, FilterText, Flag, Listed, Page
from services.catalog.facets import MAX_FACETED
from services.query.filters import MAX_KEY
from services.query.query import MAX_LIMIT

_BETWEEN_COMMAS = re.compile(r'(?:[^,"]|"[^"]*"?)+')


class ProductsPage(Page):
    filter: Annotated[FilterText | None, Field(description="A filter, as JSON text.")] = None
    sort: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=MAX_KEY + 1,
            description="An attribute that is indexed as integer or float: `price`, smallest first; `-price`, largest "
            "first. Products without a number come last.",
        ),
    ] = None
    total: Annotated[Flag, Field(description="Tell in `total` how many products pass the filter.")] = False
    facets: Annotated[
        list[Annotated[str, Field(max_length=MAX_FACETED * (MAX_KEY + 1))]],
        Listed,
        Field(
            max_length=MAX_FACETED,
            description="Indexed attributes whose facets to tell, over all products that pass the filter; separated by "
            "commas, and may be repeated.",
        ),
    ] = Field(default=[])
    sign: Signed | None = None
    with_vector: Annotated[
        Flag,
        Field(description="Tell the vectors of the products. A number takes 20 bytes: ask for few products a page."),
    ] = False
    repeatable = frozenset({"facets"})


class ProductOptions(Signs):
    with_vector: Annotated[Flag, Field(description=VECTOR_TOLD)] = False


class FacetsQuestion(BaseModel):
    """A JSON body."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    filter: Annotated[FilterObject, Field(description="Of which products; left out: of all.")] | None = None
    attributes: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=MAX_KEY)]],
        Field(min_length=1, max_length=MAX_FACETED, description="Indexed ones.", examples=[["color", "price"]]),
    ]
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT, description="Values of each, most frequent first.")] = 10


def between_commas(given: list[str]) -> list[str]:
    """Keys that are separated by commas, each once; a comma in quotes is part of a name.

    Raises:
        RequestInvalid: There is none in what was given.
    """
    named = (key.strip() for text in given for key in _BETWEEN_COMMAS.findall(text))
    keys = [*dict.fromkeys(key for key in named if key)]
    if given and not keys:
        raise RequestInvalid(
            [Fault("facets: name an attribute, or several: color,price.", RequestInvalid.code, "facets")]
        )
    return keys
