"""Code of the user's own around a model: before a text is read, and after an answer is decoded (docs/extensions.md).

A bundle has its name, and the hash of the source that it was proven with. The code itself is what is installed here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ConfigDict, Field

from serving.errors import BundleError, InputError, UserError, quote
from serving.extensions.kinds import NAME, Kind

if TYPE_CHECKING:
    from serving.extensions.extension import Extension

TextFunction = Callable[[str], str]
AnswerFunction = Callable[[Any, Any], Any]
"""The answer in the shape of the task, and the text, or texts, that it is of → an answer of that shape."""


class AnswerRefused(UserError):
    """Post-processing failed on an answer, or gave what is none."""


class Step(BaseModel):
    """An extension as a bundle names it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=f"^{NAME.pattern}$")
    distribution: str = Field(description="that registered it; tuneship.toml: a file of the working directory")
    version: str = Field(description="of the distribution")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="of the source of its top-level package or module")

    @classmethod
    def of(cls, kind: Kind, name: str) -> Self:
        """As it is installed here; raises InputError."""
        from serving.extensions.registry import find_extension

        return cls(name=name, **find_extension(kind, name).to_record())


def steps_of(kind: Kind, names: Sequence[str]) -> tuple[Step, ...]:
    """Raises InputError."""
    return tuple(Step.of(kind, name) for name in names)


@cache
def load_step(kind: Kind, step: Step) -> tuple[Extension, Callable[..., Any]]:
    """The function, if it is the one that was proven; raises BundleError."""
    from serving.extensions.registry import find_extension  # few models need it, and the rest start without

    try:
        extension = find_extension(kind, step.name)
        found, function = extension.sha256, extension.value
    except InputError as error:
        wanted = f"{step.distribution} {step.version}".strip()
        raise BundleError(f"{kind}.{step.name} of {wanted} is needed here. {error}") from error
    if found != step.sha256:
        raise BundleError(
            f"{extension}: its source has the sha256 {found[:12]}…, and the model was trained and proven with "
            f"{step.sha256[:12]}… of {step.distribution} {step.version}. Install that version, or train again"
        )
    if not callable(function):
        raise BundleError(f"{extension}: is no function")
    return extension, function


class Preprocessing:
    """Changes a text before it is tokenised, one step after the other."""

    def __init__(self, steps: Sequence[Step]) -> None:
        """Raises BundleError."""
        self._steps = [load_step("preprocessors", step) for step in steps]

    def __call__(self, text: str, field: str) -> str:
        """Raises InputError where a step refuses the text by an exception, or leaves none."""
        for extension, function in self._steps:
            try:
                changed = function(text)
            except Exception as error:  # code of the user's own may raise anything
                message = f"{field}: {extension.key} refuses the text: {type(error).__name__}: {error}"
                raise InputError(message, field=field) from error
            if not isinstance(changed, str) or not changed.strip():
                message = f"{field}: {extension.key} leaves {quote(changed)} of the text; a text is needed"
                raise InputError(message, field=field)
            text = changed
        return text


class Postprocessing:
    """Changes an answer after it is decoded, one step after the other; ``schema`` is what it must keep to."""

    def __init__(self, steps: Sequence[Step], schema: dict[str, Any]) -> None:
        """Raises BundleError."""
        self._steps, self._schema = [load_step("postprocessors", step) for step in steps], schema

    def __bool__(self) -> bool:
        return bool(self._steps)

    def __call__(self, answer: Any, item: Any) -> Any:
        """Raises AnswerRefused."""
        from serving.tasks.json_schema import find_mismatch

        for extension, function in self._steps:
            try:
                answer = json.loads(json.dumps(function(answer, item), allow_nan=False))
            except Exception as error:  # code of the user's own may raise anything
                raise AnswerRefused(f"{extension}: failed on an answer: {type(error).__name__}: {error}") from error
            if problem := find_mismatch(answer, self._schema):
                raise AnswerRefused(f"{extension}: gave what is no answer of this task: {problem}")
        return answer
