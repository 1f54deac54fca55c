"""The recipe's section about a search: which keys `tuneship tune` may change, and to what."""

from __future__ import annotations

import difflib
from typing import Any

from pydantic import Field, ValidationError, field_validator, model_validator

from serving.errors import first_problem, quote
from trainer.recipe.section import Fraction, Name, Section
from trainer.recipe.sections import ModelHead
from trainer.recipe.training import Training

Scalar = bool | int | float | Name | None
Value = Scalar | tuple[Name, ...]
"""A list is one value of a key that takes lists, such as a pooling of two."""

SECTIONS: dict[str, type[Section]] = {"training": Training, "model_head": ModelHead}
OTHERS = ("model", "data.max_length", "data.case_markers")
_ACCEPTED = "give a list of differing values, or low and high, with log: true for a learning rate"


class Range(Section):
    """Numbers from ``low`` to ``high``, both included; whole ones where both ends are."""

    low: int | float
    high: int | float
    log: bool = Field(default=False, description="try as many numbers below the geometric mean as above it")

    @model_validator(mode="after")
    def _check_ends(self) -> Range:
        if isinstance(self.low, bool) or isinstance(self.high, bool) or not self.low < self.high:
            raise ValueError(f"low {self.low} is not below high {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"low {self.low} has no logarithm")
        return self

    @property
    def whole(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)


class Search(Section):
    """What `tuneship tune` may change; no other command reads it."""

    space: dict[Name, tuple[Value, ...] | Range] | None = Field(
        default=None,
        description="keys of the recipe, such as training.learning_rate, each with a list of values or with low, high"
        " and log; null: what suits the task",
    )
    held_out: Fraction = Field(
        default=0.1,
        description="fraction of the training rows that no trial sees: the winner alone is scored on them, once",
    )

    @field_validator("space", mode="before")
    @classmethod
    def _check_space(cls, space: Any) -> Any:
        if space is None:
            return None
        if not isinstance(space, dict) or not space:
            raise ValueError(
                f"search.space: {quote(space)} is not accepted; give a mapping from keys of the recipe to lists of"
                " values, or leave it out for the space that suits the task"
            )
        return {_check_key(str(key)): _check_choices(str(key), choices) for key, choices in space.items()}


def _check_key(key: str) -> str:
    section, _, name = key.partition(".")
    if key in OTHERS or (section in SECTIONS and name.split(".")[0] in SECTIONS[section].model_fields):
        return key
    known = [*OTHERS, *(f"{each}.{field}" for each, model in SECTIONS.items() for field in model.model_fields)]
    nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"; did you mean {nearest[0]}?" if nearest else ""
    raise ValueError(
        f"search.space.{key}: cannot be searched{hint} (keys of training and model_head can, and {', '.join(OTHERS)})"
    )


def _check_choices(key: str, choices: Any) -> Any:
    if isinstance(choices, tuple) and choices and len({repr(each) for each in choices}) == len(choices):
        return tuple(tuple(each) if isinstance(each, list) else each for each in choices)
    if isinstance(choices, Range):
        return choices
    if isinstance(choices, dict):
        try:
            return Range.model_validate(choices)
        except ValidationError as error:
            raise ValueError(
                f"search.space.{key}.{first_problem(error).replace('Value error, ', '')}; {_ACCEPTED}"
            ) from None
    raise ValueError(f"search.space.{key}: {quote(choices)} is not accepted; {_ACCEPTED}")
