"""Neighbors as the API shows them."""

from collections.abc import Iterable

from api.responses import schemas
from services.records import Neighbor


def to_schemas(found: Iterable[Neighbor]) -> list[schemas.Neighbor]:
    """Neighbors as the API shows them."""
    return [
        schemas.Neighbor(product_id=each.product_id, score=each.score, attributes=dict(each.attributes))
        for each in found
    ]
