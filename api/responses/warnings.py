"""What an answer in which nothing is says of the filter that was asked with."""

from dataclasses import asdict

from api.responses import schemas
from services.catalog.catalog import Catalog
from services.query.filters import Filter


def warned(catalog: Catalog, filter: Filter | None) -> list[schemas.FilterWarning]:
    return [schemas.FilterWarning(**asdict(each)) for each in catalog.warnings(filter)]
