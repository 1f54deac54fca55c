"""docs/recipe.md, generated from the recipe's types by `make docs`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from trainer.recipe.errors import accepted_values
from trainer.recipe.recipe import Recipe

INTRODUCTION = """\
# The recipe

Every key a recipe may have, generated from the code that reads it. An unknown key, a value out of range or of another
type is refused, with the accepted values. Paths are relative to the recipe; `--set key=value` overrides any key.
"""


def recipe_reference() -> str:
    top = [name for name, field in Recipe.model_fields.items() if not _is_section(field)]
    tables = [_table(Recipe, top, "")]
    for name, section in _sections(Recipe, ""):
        summary = (section.__doc__ or "").splitlines()[0]
        tables.append(f"## {name}\n\n{summary}\n\n{_table(section, list(section.model_fields), f'{name}.')}")
    return "\n".join([INTRODUCTION, *tables])


def recipe_keys() -> list[str]:
    """Every key as ``--set`` takes it, such as training.seed."""
    top = [name for name, field in Recipe.model_fields.items() if not _is_section(field)]
    return top + [f"{name}.{key}" for name, section in _sections(Recipe, "") for key in section.model_fields]


def _sections(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, type[BaseModel]]]:
    for name, field in model.model_fields.items():
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield f"{prefix}{name}", kind
                yield from _sections(kind, f"{prefix}{name}.")


def _is_section(field: FieldInfo) -> bool:
    return isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)


def _table(section: Any, names: list[str], prefix: str) -> str:
    schema = Recipe.model_json_schema()
    properties = section.model_json_schema()["properties"]
    lines = ["| key | accepted | default | |", "| --- | --- | --- | --- |"]
    for name in names:
        field = section.model_fields[name]
        values = accepted_values(properties[name], schema).replace("|", "\\|")
        lines.append(f"| `{prefix}{name}` | {values} | {_default(field)} | {field.description or ''} |")
    return "\n".join(lines) + "\n"


def _default(field: FieldInfo) -> str:
    default = field.default
    if default is PydanticUndefined:
        return "required"
    return "null" if default is None else f"`{str(default).lower() if isinstance(default, bool) else default}`"


if __name__ == "__main__":
    sys.stdout.write(recipe_reference())
