"""What answers hold about the map of a catalog, as models."""

from typing import Annotated

from pydantic import Field

from api.responses.schemas import Count, JsonAnswer, Time
from services.explore.regions import SIDE

Place = Annotated[int, Field(ge=0, le=SIDE)]


class Cluster(JsonAnswer):
    name: Annotated[str, Field(description='What most of its products have in common; "" where that is too little.')]
    x: Annotated[Place, Field(description="A place in the midst of it.")]
    y: Place
    products: Count


class CatalogMap(JsonAnswer):
    version: Annotated[
        int, Field(ge=1, description="Counts the layouts: while it stays, products that stay keep their places.")
    ]
    found_at: Time
    products: Annotated[Count, Field(description="How many are on it.")]
    stale: Annotated[bool, Field(description="Whether the catalog has changed since: PUT it to bring it up to date.")]
    clusters: Annotated[list[Cluster], Field(description="Where products lie dense, those with most of them first.")]
    attributes: Annotated[list[str], Field(description="Attributes that are indexed; others have columns, too.")]
    hash: Annotated[str, Field(description="The ETag of points and IDs, and how that of each column begins.")]
    points_url: str
    ids_url: str


class MapIds(JsonAnswer):
    product_ids: Annotated[list[str], Field(description="In the order of the points. Some may be gone meanwhile.")]
