"""``/v1/chat/completions``, whole or streamed: https://platform.openai.com/docs/api-reference/chat.

A conversation becomes a prompt by the bundle's `ChatFormat`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from serving.errors import InputError, quote
from serving.protocols.base import Check, Reply, Request, require_task, validate_body
from serving.protocols.json_body import load_json
from serving.protocols.openai_generation import completions
from serving.protocols.openai_generation.sampling import (
    FINISH_REASONS,
    Options,
    SamplingBody,
    TokenCount,
    event,
    head,
    read_reply,
)
from serving.tasks.base import Encoded, Task
from serving.tasks.chat import Message, Role
from serving.tasks.generation import TextGeneration, Token
from serving.tasks.inputs import json_type
from serving.tasks.strict_model import FailFastList, StrictModel

PATH = "/v1/chat/completions"
KIND, EVENT_KIND = "chat.completion", "chat.completion.chunk"

ROLES: dict[str, Role] = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}

Nothing = Annotated[FailFastList[Any], Field(max_length=0)] | None


class _TextFormat(StrictModel):
    type: Literal["text"]


class _Body(SamplingBody):
    """What is about caches, storage and users means nothing here."""

    messages: FailFastList[Any] = Field(min_length=1)
    max_completion_tokens: TokenCount | None = None
    response_format: _TextFormat | None = None
    modalities: list[Literal["text"]] | None = None
    logprobs: Literal[False] | None = None
    top_logprobs: Literal[0] | None = None
    tools: Nothing = None
    functions: Nothing = None
    tool_choice: Literal["none", "auto"] | None = None
    function_call: Literal["none", "auto"] | None = None
    parallel_tool_calls: bool | None = None
    metadata: dict[str, Any] | None = None
    store: bool | None = None
    service_tier: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: dict[str, Any] | None = None
    prompt_cache_retention: str | None = None


def parse(body: bytes, task: Task, check: Check) -> Request:
    """A conversation that is too long is refused, as the beginning of it would be cut off. Raises InputError."""
    require_task(task, TextGeneration, f"{PATH} answers conversations")
    assert isinstance(task, TextGeneration)
    content = validate_body(_Body, load_json(body, task))
    if task.settings.chat is None:
        raise InputError(f"this model has no chat template that is served; send a prompt to {completions.PATH}")
    messages = [_read_message(each, f"messages[{index}]") for index, each in enumerate(content.messages)]
    prompt = check(task.settings.chat.render(messages), "messages")
    if content.max_tokens and content.max_completion_tokens:
        raise InputError("max_tokens and max_completion_tokens are one limit; send one of them", field="max_tokens")
    limit = "max_completion_tokens" if content.max_completion_tokens else "max_tokens"
    options = Options.of(content, "chatcmpl", EVENT_KIND)
    parameters = content.parameters(limit, truncate=False)
    return Request(
        [prompt], True, parameters, options, stream=bool(content.stream), field="messages", fields=["messages"]
    )


def render(task: Task, request: Request, reply: Reply) -> Any:
    answers, usage = read_reply(reply)
    choices = [
        _choice(index, reason, message={"role": "assistant", "content": text, "refusal": None})
        for index, (text, reason) in enumerate(answers)
    ]
    return {**head(request, KIND), "choices": choices, "usage": usage}


def opening_events(request: Request, encoded: Sequence[Encoded]) -> list[bytes]:
    delta = {"role": "assistant", "content": ""}
    count = request.parameters.num_return_sequences
    return [event(request, _choice(index, None, delta=delta)) for index in range(count)]


def token_event(request: Request, prompt: int, token: Token) -> bytes:
    """Empty if the token adds no text."""
    if not token.text and token.finish_reason is None:
        return b""
    delta = {"content": token.text} if token.text else {}
    return event(
        request, _choice(token.sequence, token.finish_reason and FINISH_REASONS[token.finish_reason], delta=delta)
    )


def _choice(index: int, reason: str | None, **content: dict[str, Any]) -> dict[str, Any]:
    return {"index": index, **content, "logprobs": None, "finish_reason": reason}


def _read_message(message: Any, field: str) -> Message:
    """Keys without a value are those of a client's own answers."""
    if not isinstance(message, dict):
        raise InputError(f"{field} is {json_type(message)}; an object with role and content is accepted", field=field)
    role = message.get("role")
    known = ROLES.get(role) if isinstance(role, str) else None
    if known is None:
        raise InputError(f"{field}.role is {quote(role)}; accepted are {', '.join(ROLES)}", field=f"{field}.role")
    for name, value in message.items():
        if name not in ("role", "content") and value not in (None, []):
            raise InputError(f"{field}.{name}: this model reads role and content only; leave it out", field=field)
    return Message(known, _read_content(message.get("content"), f"{field}.content"))


def _read_content(content: Any, field: str) -> str:
    """A text, or the texts of its parts."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise InputError(f"{field} is {json_type(content)}; a text or a list of text parts is accepted", field=field)
    return "".join(_read_part(part, f"{field}[{index}]") for index, part in enumerate(content))


def _read_part(part: Any, field: str) -> str:
    kind, text = (part.get("type"), part.get("text")) if isinstance(part, dict) else (None, None)
    if kind != "text" or not isinstance(text, str):
        raise InputError(f'{field} is {quote(kind)}; {{"type": "text", "text": …}} is accepted', field=field)
    return text
