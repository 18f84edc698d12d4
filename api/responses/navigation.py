"""What answers hold that navigate a catalog, as models: of queries and paths, and directions."""

from typing import Annotated, Literal

from pydantic import Field

from api.responses.schemas import Attributes, Count, FilterTold, Good, JsonAnswer, Neighbor, Time, Warnings


class TermShare(JsonAnswer):
    role: Literal["near", "like", "unlike"]
    term: str
    share: Annotated[float, Field(description="What it adds to the score; all shares together are the score.")]


class Explanation(JsonAnswer):
    terms: list[TermShare]
    in_common: Annotated[Attributes, Field(description="Attributes with the same value in all products wanted.")]


class Answer(Neighbor):
    group: Annotated[
        str | None,
        Field(exclude_if=lambda found: found is None, description="With `group_by`: the value that it has, as text."),
    ] = None
    explanation: Annotated[
        Explanation | None, Field(exclude_if=lambda found: found is None, description="With `explain`.")
    ] = None


class Note(JsonAnswer):
    code: Literal["direction_weak", "filter_would_do", "groups_cut", "not_centered"]
    message: str


class Answers(JsonAnswer):
    neighbors: list[Answer]
    good: Good
    color_weight: Annotated[float, Field(description="The one that was used.")]
    next: str | None
    notes: Annotated[
        list[Note], Field(exclude_if=lambda found: not found, description="What to know of this answer.")
    ] = Field(default=[])
    warnings: Warnings = Field(default=[])


class Direction(JsonAnswer):
    name: str
    quality: Annotated[
        float,
        Field(
            description="How well it tells its own sides apart within categories: the area under the ROC curve of "
            "examples that it was not learned from. 0.5 is chance; below 0.85 it is weak."
        ),
    ]
    weak: bool
    color_weight: Annotated[float, Field(description="With which it was learned, and is used unless a query says.")]
    positives: Annotated[Count, Field(description="Examples of what it leads to.")]
    negatives: Annotated[Count, Field(description="Examples of what it leads away from.")]
    categories: Annotated[Count, Field(description="In how many categories that both sides have.")]
    products: Annotated[Count, Field(description="How many the catalog had when it was learned.")]
    created_at: Time
    learned_at: Time


class Directions(JsonAnswer):
    directions: list[Direction]


class DirectionSide(JsonAnswer):
    filter: Annotated[FilterTold | None, Field(exclude_if=lambda found: found is None)] = None
    product_ids: Annotated[list[str] | None, Field(exclude_if=lambda found: found is None)] = None


class DefinedDirection(Direction):
    toward: DirectionSide
    away_from: Annotated[DirectionSide | None, Field(description="null: all other products.")]
    within: str | None
