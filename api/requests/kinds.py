"""Types that the OpenAPI document has a name for, too: without, a client has one of its own for each field of them.

Pydantic resolves every $ref itself; api.openapi.document makes one of each `x-schema`.
"""

from typing import Annotated, Literal

from pydantic import WithJsonSchema

from services import descriptions

Resample = Annotated[descriptions.Resample, WithJsonSchema({"x-schema": "Resample"})]
Features = Annotated[descriptions.Features, WithJsonSchema({"x-schema": "Features"})]
Quantization = Annotated[descriptions.Quantization, WithJsonSchema({"x-schema": "Quantization"})]
AttributeKind = Annotated[Literal["keyword", "integer", "float", "bool"], WithJsonSchema({"x-schema": "AttributeKind"})]

FILTER = WithJsonSchema({"x-schema": "Filter"})
# Generators know no parameters that are JSON: what they send of an object is no JSON.
FILTER_TEXT = WithJsonSchema(
    {"type": "string", "contentMediaType": "application/json", "contentSchema": {"x-schema": "Filter"}}
)
