"""Text generation in the shape of OpenAI's ``/v1/completions``, whole or streamed as server-sent events.

Format: https://platform.openai.com/docs/api-reference/completions; events as the HTML standard's "Server-sent events".
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from serving.protocols.base import Check, Reply, Request, check_inputs, content_of
from serving.tasks.base import Encoded, Task
from serving.tasks.generation import FinishReason, Generated, Generation, GenerationParameters, Token
from serving.tasks.strict_model import FailFastList, StrictModel

PATH = "/v1/completions"
_REASONS: dict[FinishReason, str] = {
    "eos_token": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "cancelled": "stop",
}


class _Body(StrictModel):
    """What is understood; what is named but cannot be had takes only the value that asks for nothing."""

    prompt: Any
    model: str = ""
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: float = Field(default=1.0, ge=0, description="0: greedy")
    top_p: float = Field(default=1.0, gt=0, le=1)
    n: int = Field(default=1, ge=1, le=16)
    stream: bool = False
    stop: str | FailFastList[str] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**64)] | None = None
    echo: bool = False
    user: str | None = None
    best_of: Literal[1] | None = None
    logprobs: None = None
    suffix: None = None
    presence_penalty: Literal[0] | None = None
    frequency_penalty: Literal[0] | None = None

    def parameters(self) -> GenerationParameters:
        """The task's own parameters."""
        sampled = self.temperature > 0
        return GenerationParameters(
            max_new_tokens=self.max_tokens,
            do_sample=sampled,
            temperature=self.temperature if sampled else 1.0,
            top_p=self.top_p if sampled else None,
            num_return_sequences=self.n if sampled else 1,
            stop=[self.stop] if isinstance(self.stop, str) else self.stop or [],
            seed=self.seed,
            return_full_text=self.echo,
        )


class CompletionOptions(BaseModel):
    """What rendering needs: who asked for what, when, under which id."""

    body: _Body
    id: str
    created: int


def parse(body: bytes, task: Task, check: Check) -> Request:
    """The prompts of a request; raises InputError."""
    options = content_of(_Body, PATH, "continues prompts", body, task, Generation)
    items = check_inputs(options.prompt, task, check, "prompt")
    about = CompletionOptions(body=options, id=f"cmpl-{uuid.uuid4().hex}", created=int(time.time()))
    return Request(items, False, options.parameters(), about, stream=options.stream)


def render(task: Task, request: Request, reply: Reply) -> Any:
    """All choices, those of the first prompt first, and the tokens used."""
    texts = [each["generated_text"] for answer in reply.answers for each in answer]
    generated: list[Generated] = [each for results in reply.results for each in results[0]]
    choices = [
        _choice(index, text, _REASONS[each.finish_reason])
        for index, (text, each) in enumerate(zip(texts, generated, strict=True))
    ]
    read = sum(len(each.windows[0].ids) for each in reply.encoded)
    written = sum(len(each.token_ids) for each in generated)
    usage = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
    return {**_head(request), "choices": choices, "usage": usage}


def opening(request: Request, encoded: Sequence[Encoded]) -> list[bytes]:
    """The events before the first token: the prompts themselves, where they are to be echoed."""
    options: CompletionOptions = request.options
    if not options.body.echo:
        return []
    number = request.parameters.num_return_sequences
    return [
        _event({**_head(request), "choices": [_choice(at * number + copy, each.item, None)]})
        for at, each in enumerate(encoded)
        for copy in range(number)
    ]


def event(request: Request, prompt: int, token: Token) -> bytes:
    """The event of one token, nothing where it shows nothing."""
    if not token.text and token.finish_reason is None:
        return b""
    index = prompt * request.parameters.num_return_sequences + token.sequence
    reason = token.finish_reason and _REASONS[token.finish_reason]
    return _event({**_head(request), "choices": [_choice(index, token.text, reason)]})


def closing() -> bytes:
    """The event behind the last token."""
    return b"data: [DONE]\n\n"


def _head(request: Request) -> dict[str, Any]:
    options: CompletionOptions = request.options
    return {"id": options.id, "object": "text_completion", "created": options.created, "model": options.body.model}


def _choice(index: int, text: str, reason: str | None) -> dict[str, Any]:
    return {"index": index, "text": text, "logprobs": None, "finish_reason": reason}


def _event(content: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(content, ensure_ascii=False)}\n\n".encode()
