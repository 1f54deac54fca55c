"""A model that others trained, loaded, with the recipe that its run is to have."""

from __future__ import annotations

from dataclasses import dataclass

from trainer.imports.source import Source
from trainer.imports.transformers_model import Loaded
from trainer.recipe.recipe import Recipe


@dataclass(frozen=True)
class ImportedModel:
    """Attributes:
    recipe: resolved.
    assumed: what no file says.
    """

    source: Source
    loaded: Loaded
    recipe: Recipe
    assumed: list[str]
