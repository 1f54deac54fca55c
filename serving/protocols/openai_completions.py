"""``/v1/completions``, whole or streamed: https://platform.openai.com/docs/api-reference/completions."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError

from serving.errors import InputError, first_problem
from serving.protocols.base import Check, Reply, Request, check_inputs, refuse_token_ids, require_task, validate_body
from serving.protocols.json_body import load_json
from serving.tasks.base import Encoded, Task
from serving.tasks.generation import (
    MOST_TOKENS,
    FinishReason,
    Generated,
    Generation,
    GenerationParameters,
    Seed,
    Token,
)
from serving.tasks.strict_model import FailFastList, StrictModel

PATH = "/v1/completions"
_FINISH_REASONS: dict[FinishReason, str] = {
    "eos_token": "stop",
    "stop_sequence": "stop",
    "length": "length",
}


class _Body(StrictModel):
    """Unsupported options accept only the value that turns them off."""

    prompt: Any
    model: str = ""
    max_tokens: Annotated[int, Field(ge=1, le=MOST_TOKENS)] | None = None
    temperature: float = Field(default=1.0, ge=0, description="0: greedy")
    top_p: float = Field(default=1.0, gt=0, le=1)
    n: int = Field(default=1, ge=1, le=16)
    stream: bool = False
    stop: str | FailFastList[str] | None = None
    seed: Seed | None = None
    echo: bool = False
    user: str | None = None
    best_of: Literal[1] | None = None
    logprobs: None = None
    suffix: None = None
    presence_penalty: Literal[0] | None = None
    frequency_penalty: Literal[0] | None = None

    def parameters(self) -> GenerationParameters:
        """Raises InputError under this protocol's names."""
        sampled = self.temperature > 0
        values = {
            "max_new_tokens": self.max_tokens,
            "do_sample": sampled,
            "temperature": self.temperature if sampled else 1.0,
            "top_p": self.top_p if sampled else None,
            "num_return_sequences": self.n if sampled else 1,
            "stop": [self.stop] if isinstance(self.stop, str) else self.stop or [],
            "seed": self.seed,
            "return_full_text": self.echo,
        }
        try:
            parameters = GenerationParameters.model_validate(values)
            parameters.require_consistent()
        except ValidationError as error:
            raise InputError(first_problem(error)) from error
        except InputError as error:
            raise InputError(str(error).replace("max_new_tokens", "max_tokens")) from error
        return parameters


class CompletionOptions(BaseModel):
    """``id`` and ``created`` (seconds since 1970) stand in every answer."""

    body: _Body
    id: str
    created: int


def parse(body: bytes, task: Task, check: Check) -> Request:
    """Raises InputError."""
    require_task(task, Generation, f"{PATH} continues prompts")
    content = validate_body(_Body, load_json(body, task))
    refuse_token_ids(content.prompt, "prompt")
    items = check_inputs(content.prompt, task, check, "prompt")
    options = CompletionOptions(body=content, id=f"cmpl-{uuid.uuid4().hex}", created=int(time.time()))
    return Request(items, False, content.parameters(), options, stream=content.stream, field="prompt")


def render(task: Task, request: Request, reply: Reply) -> Any:
    texts = [each["generated_text"] for answer in reply.answers for each in answer]
    generated: list[Generated] = [each for results in reply.results for each in results[0]]
    choices = [
        _choice(index, text, _FINISH_REASONS[each.finish_reason])
        for index, (text, each) in enumerate(zip(texts, generated, strict=True))
    ]
    read = sum(each.tokens for each in reply.encoded)
    written = sum(len(each.token_ids) for each in generated)
    usage = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
    return {**_head(request), "choices": choices, "usage": usage}


def opening_events(request: Request, encoded: Sequence[Encoded]) -> list[bytes]:
    """With ``echo``, the prompts."""
    options: CompletionOptions = request.options
    copies = request.parameters.num_return_sequences if options.body.echo else 0
    return [
        _event(request, prompt * copies + copy, each.item, None)
        for prompt, each in enumerate(encoded)
        for copy in range(copies)
    ]


def token_event(request: Request, prompt: int, token: Token) -> bytes:
    """Empty if the token adds no text."""
    if not token.text and token.finish_reason is None:
        return b""
    index = prompt * request.parameters.num_return_sequences + token.sequence
    return _event(request, index, token.text, token.finish_reason and _FINISH_REASONS[token.finish_reason])


def closing_event() -> bytes:
    return b"data: [DONE]\n\n"


def error_event(kind: str, message: str) -> bytes:
    """OpenAI's client raises it."""
    content = {"error": {"message": message, "type": kind, "param": None, "code": None}}
    return f"data: {json.dumps(content, ensure_ascii=False)}\n\n".encode()


def _head(request: Request) -> dict[str, Any]:
    options: CompletionOptions = request.options
    return {"id": options.id, "object": "text_completion", "created": options.created, "model": options.body.model}


def _choice(index: int, text: str, reason: str | None) -> dict[str, Any]:
    return {"index": index, "text": text, "logprobs": None, "finish_reason": reason}


def _event(request: Request, index: int, text: str, reason: str | None) -> bytes:
    content = {**_head(request), "choices": [_choice(index, text, reason)]}
    return f"data: {json.dumps(content, ensure_ascii=False)}\n\n".encode()
