"""What requests about duplicates say."""

from typing import Annotated, Literal

from pydantic import Field

from api.requests.models import Cursor, Flag, JsonBody, Limit, QueryParameters
from services.catalog.duplicates import LIMIT
from services.explore.decisions import Decision
from services.explore.kinds import Kind


class DuplicatesPage(QueryParameters):
    decision: Annotated[
        Literal["none", "keep", "remove", "distinct"],
        Field(description="What was decided; none: groups that are open."),
    ] = "none"
    kind: Annotated[Kind | None, Field(description="Only groups of this kind.")] = None
    placeholder: Annotated[Flag | None, Field(description="Only placeholders, or none of them.")] = None
    limit: Limit = LIMIT
    cursor: Annotated[Cursor | None, Field(description="The `next` of the page before.")] = None


class DuplicatesDecision(JsonBody):
    """What is to become of a group: `keep`: all products stay; `remove`: all but those in `keep` are to go; `distinct`:
    they are not the same."""

    decision: Decision
    keep: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=512)]],
        Field(max_length=1000, description="With `remove`: the products that stay. Left out: the one suggested."),
    ] = Field(default=[])
