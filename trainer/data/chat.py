"""Conversations as lists of messages: OpenAI's and Hugging Face's ``role`` and ``content``, ShareGPT's ``from`` and
``value``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from serving.errors import InputError, quote
from serving.tasks.inputs import encodable, json_type
from trainer.data.literals import parse_nested

CONVERSATION_COLUMNS = ("messages", "conversations", "conversation", "dialogue")
ASSISTANT = "assistant"

_ROLES = {
    "human": "user", "gpt": ASSISTANT, "chatgpt": ASSISTANT, "bot": ASSISTANT, "model": ASSISTANT,
    "function_call": ASSISTANT, "observation": "tool",
    **{role: role for role in ("system", "developer", "user", ASSISTANT, "tool", "function")},
}  # fmt: skip

Message = dict[str, Any]


def are_conversations(values: Sequence[Any]) -> bool:
    """Whether these are lists of messages, and one is not empty."""
    lists = [parsed for value in values if isinstance(parsed := _parsed(value), list) and parsed]
    return any(isinstance(each[0], dict) for each in lists)


def read_messages(value: Any, name: str) -> list[Message]:
    """A row's messages with ``role`` and ``content``, and whatever else a template may read; raises InputError."""
    value = _parsed(value)
    if not isinstance(value, (list, tuple)) or not value:
        found = "is missing" if value is None else f"is {json_type(value)}" if value else "is an empty list"
        raise InputError(f"{name} {found}; a list of messages with role and content is needed")
    return [_read_message(each, f"{name}[{at}]") for at, each in enumerate(value)]


def until_answer(messages: Sequence[Message], name: str) -> list[Message]:
    """Up to the last answer; raises InputError if there is none, or nothing before it."""
    last = max((at for at, each in enumerate(messages) if each["role"] == ASSISTANT), default=-1)
    if last < 0:
        raise InputError(f"{name} has no message of the role assistant; there is no answer to learn")
    if last == 0:
        raise InputError(f"{name} has no message before the assistant's; there is nothing to answer")
    return list(messages[: last + 1])


def _parsed(value: Any) -> Any:
    return parse_nested(value) if isinstance(value, str) and value.lstrip().startswith("[") else value


def _read_message(value: Any, name: str) -> Message:
    if not isinstance(value, dict):
        raise InputError(f"{name} is {json_type(value)}; give an object with role and content")
    role = value.get("role", value.get("from"))
    known = _ROLES.get(role) if isinstance(role, str) else None
    if known is None:
        raise InputError(f"{name} has the role {quote(role)}; accepted: {', '.join(sorted(set(_ROLES.values())))}")
    content = _content(value.get("content", value.get("value")), name)
    if known == ASSISTANT and not content.strip() and not value.get("tool_calls"):
        raise InputError(f"{name}: the assistant's content is empty")
    rest = {key: each for key, each in value.items() if key not in ("role", "from", "content", "value")}
    return {"role": known, "content": content, **{key: each for key, each in rest.items() if each is not None}}


def _content(value: Any, name: str) -> str:
    """A text, or the texts of its parts; "" for none, as beside calls of tools."""
    parts = value if isinstance(value, list) else [{"type": "text", "text": "" if value is None else value}]
    texts = []
    for part in parts:
        if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(part.get("text"), str):
            raise InputError(f"{name}: content is {quote(value)}; only text is read")
        texts.append(part["text"])
    text = "".join(texts)
    if not encodable(text):
        raise InputError(f"{name}: content holds half of a surrogate pair, which is no character")
    return text
