"""``/v1/completions``, whole or streamed: https://platform.openai.com/docs/api-reference/completions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from serving.protocols.base import Check, Reply, Request, check_inputs, refuse_token_ids, require_task, validate_body
from serving.protocols.json_body import load_json
from serving.protocols.openai_generation.sampling import FINISH_REASONS, Options, SamplingBody, event, head, read_reply
from serving.tasks.base import Encoded, Task
from serving.tasks.generation import Generation, Token

PATH = "/v1/completions"
KIND = "text_completion"


class _Body(SamplingBody):
    prompt: Any
    echo: bool | None = None
    best_of: Literal[1] | None = None
    logprobs: None = None
    suffix: None = None


def parse(body: bytes, task: Task, check: Check) -> Request:
    """Raises InputError."""
    require_task(task, Generation, f"{PATH} continues prompts")
    content = validate_body(_Body, load_json(body, task))
    refuse_token_ids(content.prompt, "prompt")
    items = check_inputs(content.prompt, task, check, "prompt")
    parameters = content.parameters(return_full_text=bool(content.echo))
    options = Options.of(content, "cmpl", KIND)
    return Request(items, False, parameters, options, stream=bool(content.stream), field="prompt")


def render(task: Task, request: Request, reply: Reply) -> Any:
    answers, usage = read_reply(reply)
    choices = [_choice(index, *answer) for index, answer in enumerate(answers)]
    return {**head(request, KIND), "choices": choices, "usage": usage}


def opening_events(request: Request, encoded: Sequence[Encoded]) -> list[bytes]:
    """With ``echo``, the prompts."""
    copies = request.parameters.num_return_sequences if request.options.body.echo else 0
    return [
        event(request, _choice(prompt * copies + copy, each.item, None))
        for prompt, each in enumerate(encoded)
        for copy in range(copies)
    ]


def token_event(request: Request, prompt: int, token: Token) -> bytes:
    """Empty if the token adds no text."""
    if not token.text and token.finish_reason is None:
        return b""
    index = prompt * request.parameters.num_return_sequences + token.sequence
    return event(request, _choice(index, token.text, token.finish_reason and FINISH_REASONS[token.finish_reason]))


def _choice(index: int, text: str, reason: str | None) -> dict[str, Any]:
    return {"index": index, "text": text, "logprobs": None, "finish_reason": reason}
