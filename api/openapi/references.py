"""How schemas of OpenAPI refer to each other."""

from typing import Any

PREFIX = "#/components/schemas/"


def reference(name: str) -> dict[str, Any]:
    """A schema that is the one of that name."""
    return {"$ref": f"{PREFIX}{name}"}


def object_of(*required: str, **properties: Any) -> dict[str, Any]:
    """The schema of an object with these properties and no others."""
    found = {"type": "object", "properties": properties, "additionalProperties": False}
    return found | {"required": list(required)} if required else found
