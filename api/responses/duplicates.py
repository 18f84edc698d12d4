"""What answers about duplicates hold, as models."""

from typing import Annotated

from pydantic import Field

from api.responses.schemas import Attributes, Count, JsonAnswer, Time
from services.explore.decisions import Decision
from services.explore.kinds import Kind

KindTold = Annotated[
    Kind,
    Field(description="same_bytes: one file; same_picture: the same is seen in both; near_duplicate: nearly that."),
]
Pixels = Annotated[Count | None, Field(description="Of the original, in pixels; null: it was not kept.")]


class Member(JsonAnswer):
    product_id: str
    attributes: Attributes
    image: Annotated[str | None, Field(description="SHA-256 of the original.")]
    version: Annotated[Count, Field(description="The lower, the older.")]
    width: Pixels
    height: Pixels


class DuplicateGroup(JsonAnswer):
    id: Annotated[str, Field(description="Of its products: another product makes another group.")]
    kind: Annotated[Kind, Field(description="The weakest kind by which its products hang together.")]
    placeholder: Annotated[bool, Field(description="One picture is on ten of its products or more.")]
    products: Annotated[Count, Field(description="How many it has.")]
    members: Annotated[list[Member], Field(description="Up to 100 of them, those of `keep` first.")]
    keep: Annotated[
        list[str],
        Field(description="Which to keep where the others go: suggested, or decided. Empty: all were decided to stay."),
    ]
    why: Annotated[str, Field(description="Why it is suggested, in words.")]
    decision: Annotated[Decision | None, Field(description="null: it is open.")]
    to_remove: Annotated[
        list[str],
        Field(description="With the decision `remove`: the products that are to go and are still there."),
    ]
    decided_at: Time | None


class DuplicateGroups(JsonAnswer):
    groups: list[DuplicateGroup]
    total: Annotated[Count, Field(description="How many there are on all pages.")]
    next: str | None
    products: Annotated[Count | None, Field(description="How many were looked at; null: there was no scan.")]
    found_at: Time | None
    complete: Annotated[bool | None, Field(description="False: the scan has not ended, and finds more.")]
    stale: Annotated[bool | None, Field(description="The catalog has changed since: PUT looks for what is new.")]


class Duplicate(JsonAnswer):
    product_id: str
    kind: KindTold
    score: float
    percentile: Annotated[float | None, Field(description="How many random pairs are less alike, 0 to 100.")]
    attributes: Attributes
    image: Annotated[str | None, Field(description="SHA-256 of the original.")]
    decision: Annotated[Decision | None, Field(description="What was decided about both; null: nothing.")]


class Duplicates(JsonAnswer):
    duplicates: list[Duplicate]
