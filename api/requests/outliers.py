"""What requests for outliers hold, as models."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from api.requests.models import Cursor, Flag, JsonBody, Key, Limit, QueryParameters


class WantedOutliers(JsonBody):
    """Exactly one of its fields says what is looked for."""

    label: (
        Annotated[
            Key,
            Field(description="An attribute: products that are unlike their own value of it.", examples=["category"]),
        ]
        | None
    ) = None
    isolated: Annotated[bool, Field(description="true: products that nothing in the catalog is alike.")] = False

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.label is None) is not self.isolated:
            raise ValueError("give exactly one of label, isolated")
        return self


class OutliersPage(QueryParameters):
    label: Annotated[Key | None, Field(description="That of the list; exactly one of `label` and `isolated`.")] = None
    isolated: Annotated[Flag, Field(description="Products that nothing in the catalog is alike.")] = False
    value: Annotated[
        str | None,
        Field(min_length=1, max_length=1000, description="Only products with this value of the label, as text."),
    ] = None
    limit: Limit = 100
    cursor: Annotated[Cursor | None, Field(description="The `next` of the page before.")] = None
