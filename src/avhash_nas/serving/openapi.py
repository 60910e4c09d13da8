"""What the dataclasses of the API say of their attributes, as descriptions in its OpenAPI schema."""

import inspect
import re
from collections.abc import Callable, Iterable
from typing import Any


def with_descriptions(make: Callable[[], dict[str, Any]], kinds: Iterable[type]) -> Callable[[], dict[str, Any]]:
    """The function that makes a schema, with the descriptions added.

    Args:
        make: Makes the schema, the same one each time.
        kinds: Dataclasses that are components of it.
    """

    def described() -> dict[str, Any]:
        schema = make()
        for kind in kinds:
            component = schema["components"]["schemas"][kind.__name__]
            component["description"], attributes = _parts(kind)
            for name, text in attributes.items():
                component["properties"][name]["description"] = text
        return schema

    return described


def _parts(kind: type) -> tuple[str, dict[str, str]]:
    """First paragraph of a docstring, and its attributes."""
    text, _, attributes = (inspect.getdoc(kind) or "").partition("\n\nAttributes:\n")
    joined = re.sub(r"\n {8,}", " ", attributes)  # continued lines
    return text, dict(re.findall(r"^ {4}(\w+): (.*)$", joined, re.MULTILINE))
