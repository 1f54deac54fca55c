"""The body of ``/v1/decisions``: https://platform.openai.com/docs/api-reference."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from serving.errors import InputError, quote
from serving.tasks.strict_model import FailFastList, StrictModel

MAX_QUESTIONS, MAX_CHOICES = 400, 255


class _Question(StrictModel):
    instructions: str | FailFastList[Any]
    name: str | None = None


class Predicate(_Question):
    type: Literal["predicate"]


class Option(StrictModel):
    value: str | bool
    description: str | None = None


class Choice(_Question):
    type: Literal["choice"]
    choices: FailFastList[Option] = Field(min_length=2, max_length=MAX_CHOICES)


class Level(StrictModel):
    label: str
    description: str | None = None


class Score(_Question):
    type: Literal["score"]
    levels: FailFastList[Level] = Field(min_length=2, max_length=MAX_CHOICES)


Question = Annotated[Predicate | Choice | Score, Field(discriminator="type")]


class Body(StrictModel):
    """What is about caches and users means nothing here."""

    input: Any
    model: str = ""
    questions: FailFastList[Question] = Field(min_length=1, max_length=MAX_QUESTIONS)
    prompt_cache_key: str | None = None
    prompt_cache_options: dict[str, Any] | None = None
    safety_identifier: str | None = None


def read_input(content: Any) -> Any:
    """The text of user messages, or the object of one that is JSON; raises InputError."""
    if not isinstance(content, list):
        return content
    parts = [part for index, message in enumerate(content) for part in _read_message(message, f"input[{index}]")]
    if not parts:
        raise InputError("input is an empty list; send a text or a user message", field="input")
    if len(parts) == 1:
        return parts[0]
    if not all(isinstance(part, str) for part in parts):
        raise InputError("input holds what is no text beside other parts; send texts, or one object", field="input")
    return "\n".join(parts)


def _read_message(message: Any, field: str) -> list[Any]:
    kind = message.get("type", "message") if isinstance(message, dict) else None
    role = message.get("role") if kind == "message" else kind
    if role != "user":
        found = f"of {quote(role)}" if role else "no message"
        accepted = "a fine-tuned model reads a text: user messages are accepted"
        raise InputError(f"{field} is {found}; {accepted}", field=field)
    content = message.get("content")
    if not isinstance(content, list):
        return [content]
    return [_read_part(part, f"{field}.content[{index}]") for index, part in enumerate(content)]


def _read_part(part: Any, field: str) -> Any:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind not in ("input_text", "input_json"):
        raise InputError(f"{field} is {quote(kind)}; input_text and input_json are accepted", field=field)
    return part.get("text" if kind == "input_text" else "data")
