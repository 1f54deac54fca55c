"""What OpenAI's completions and chat completions share: how to draw tokens, token counts, events."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError

from serving.errors import InputError, first_problem
from serving.protocols.base import Reply, Request
from serving.tasks.base import Encoded
from serving.tasks.generation import MOST_TOKENS, FinishReason, Generated, GenerationParameters, Seed
from serving.tasks.strict_model import FailFastList, StrictModel

FINISH_REASONS: dict[FinishReason, str] = {
    "eos_token": "stop",
    "stop_sequence": "stop",
    "length": "length",
}

TokenCount = Annotated[int, Field(ge=1, le=MOST_TOKENS)]


class _StreamOptions(StrictModel):
    include_usage: bool | None = None
    include_obfuscation: bool | None = Field(default=None, description="means nothing here")


class SamplingBody(StrictModel):
    """Unsupported options accept only the value that turns them off."""

    model: str = ""
    max_tokens: TokenCount | None = None
    temperature: float | None = Field(default=None, ge=0, description="0: greedy; absent: 1")
    top_p: float | None = Field(default=None, gt=0, le=1)
    n: int | None = Field(default=None, ge=1, le=16)
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    stop: str | FailFastList[str] | None = None
    seed: Seed | None = None
    user: str | None = None
    presence_penalty: Literal[0] | None = None
    frequency_penalty: Literal[0] | None = None
    logit_bias: Annotated[dict[str, Any], Field(max_length=0)] | None = None

    def parameters(self, limit: str = "max_tokens", **more: Any) -> GenerationParameters:
        """Raises InputError under this protocol's names; ``limit`` is that of the most tokens."""
        temperature = 1.0 if self.temperature is None else self.temperature
        sampled = temperature > 0
        values = {
            "max_new_tokens": getattr(self, limit),
            "do_sample": sampled,
            "temperature": temperature if sampled else 1.0,
            "top_p": self.top_p if sampled else None,
            "num_return_sequences": (self.n or 1) if sampled else 1,
            "stop": [self.stop] if isinstance(self.stop, str) else self.stop or [],
            "seed": self.seed,
            **more,
        }
        try:
            parameters = GenerationParameters.model_validate(values)
            parameters.require_consistent()
        except ValidationError as error:
            raise InputError(first_problem(error)) from error
        except InputError as error:
            raise InputError(str(error).replace("max_new_tokens", limit)) from error
        return parameters


class Options(BaseModel):
    """``id`` and ``created`` (seconds since 1970) stand in every answer; ``kind`` is an event's object."""

    body: SamplingBody
    id: str
    kind: str
    created: int

    @classmethod
    def of(cls, body: SamplingBody, prefix: str, kind: str) -> Options:
        return cls(body=body, id=f"{prefix}-{uuid.uuid4().hex}", kind=kind, created=int(time.time()))


def read_reply(reply: Reply) -> tuple[list[tuple[str, str]], dict[str, int]]:
    """Each answer's text and why it ends, and the usage."""
    texts = [each["generated_text"] for answer in reply.answers for each in answer]
    generated: list[Generated] = [each for results in reply.results for each in results[0]]
    answers = [(text, FINISH_REASONS[each.finish_reason]) for text, each in zip(texts, generated, strict=True)]
    return answers, _usage(reply.encoded, sum(len(each.token_ids) for each in generated))


def head(request: Request, kind: str) -> dict[str, Any]:
    options: Options = request.options
    return {"id": options.id, "object": kind, "created": options.created, "model": options.body.model}


def event(request: Request, choice: dict[str, Any]) -> bytes:
    return _data({**head(request, request.options.kind), "choices": [choice]})


def closing_events(request: Request, encoded: Sequence[Encoded], written: int) -> list[bytes]:
    """With the usage, where it is asked for."""
    options: Options = request.options
    asked = options.body.stream_options
    usage = {**head(request, options.kind), "choices": [], "usage": _usage(encoded, written)}
    return [*([_data(usage)] if asked and asked.include_usage else []), b"data: [DONE]\n\n"]


def error_event(kind: str, message: str) -> bytes:
    """OpenAI's client raises it."""
    return _data({"error": {"message": message, "type": kind, "param": None, "code": None}})


def _usage(encoded: Sequence[Encoded], written: int) -> dict[str, int]:
    read = sum(each.tokens for each in encoded)
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def _data(content: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(content, ensure_ascii=False)}\n\n".encode()
