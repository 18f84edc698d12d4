"""What answers hold of outliers, as models."""

from typing import Annotated

from pydantic import Field

from api.responses.schemas import Attributes, Count, JsonAnswer, Time


class Outlier(JsonAnswer):
    product_id: str
    attributes: Attributes
    score: Annotated[
        float,
        Field(
            description="Of a label: how much more it looks like another one, as the logarithm of how many times "
            "likelier that is. Of isolated products: the cosine of the nearest one."
        ),
    ]
    label: Annotated[str | None, Field(exclude_if=lambda found: found is None, description="Its own.")] = None
    looks_like: Annotated[
        str | None, Field(exclude_if=lambda found: found is None, description="The label that it looks like.")
    ] = None
    disagreeing: Annotated[
        float | None,
        Field(
            exclude_if=lambda found: found is None,
            description="The share of its 10 nearest products, as far as they have a label, that have another one.",
        ),
    ] = None
    nearest: Annotated[
        str | None, Field(exclude_if=lambda found: found is None, description="The ID of the nearest product.")
    ] = None
    percentile: Annotated[
        float | None, Field(exclude_if=lambda found: found is None, description="That of the nearest product.")
    ] = None


class Outliers(JsonAnswer):
    label: Annotated[str | None, Field(description="null: isolated products.")]
    products: Annotated[Count, Field(description="How many were looked at.")]
    judged: Annotated[Count, Field(description="How many of them were judged; the next three say why others were not.")]
    unlabeled: Annotated[Count, Field(description="Products without a value of the label.")]
    several_labels: Annotated[Count, Field(description="Products with several values of it.")]
    rare_labels: Annotated[Count, Field(description="Products with a value that fewer than 5 have.")]
    rare: Annotated[list[str], Field(description="Such values, 20 at most, the rarest first: perhaps misspelled.")]
    found: Annotated[Count, Field(description="Outliers that were found; the first 1,000 are kept.")]
    found_at: Time
    stale: Annotated[bool, Field(description="The catalog has changed since.")]
    complete: Annotated[bool, Field(description="Whether all products were looked at.")]
    outliers: list[Outlier]
    next: str | None
