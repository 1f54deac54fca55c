"""The words that a wrong answer rests on, by hiding each word in turn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from serving.errors import InputError
from serving.explain.explainer import Explainer
from serving.explain.parameters import ExplainParameters
from serving.explain.targets import unsupported_reason
from serving.tasks.base import Encoded, Logits, Task
from trainer.data.rows import Rows
from trainer.model.checkpoint import Checkpoint
from trainer.model.inference import logits_of
from trainer.model.inputs import encode

MOST_TOKENS = 20_000
"""Of all hidden copies together: a second or two."""
BATCH_SIZE = 64


class CheckpointPredictor:
    """A checkpoint as the explainer asks it."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self.task = checkpoint.task
        self.tokenizer = checkpoint.tokenizer.backend_tokenizer
        self.pad_token_id = int(checkpoint.tokenizer.pad_token_id)

    def check(self, inputs: Any) -> Any:
        return self.task.check(inputs)

    def encode(self, items: Sequence[Any], options: ExplainParameters) -> list[Encoded]:
        return encode(self._checkpoint.tokenizer, self.task, list(items))

    def run(self, windows: Sequence[Any]) -> list[Logits]:
        return logits_of(self._checkpoint.model, self._checkpoint.tokenizer, windows, BATCH_SIZE)


def explain_mistakes(checkpoint: Checkpoint, rows: Rows, mistakes: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same with ``words``: each one's text and its share of the answer's logit, -1 to 1, where that can be told."""
    if unsupported_reason(checkpoint.task):
        return list(mistakes)
    predictor, left = CheckpointPredictor(checkpoint), MOST_TOKENS
    explainer, options, explained = Explainer(predictor), ExplainParameters(), []
    for each in mistakes:
        inputs = _served(checkpoint.task, rows.inputs[each["line"] - 1])
        (encoded,) = predictor.encode([predictor.check(inputs)], options)
        try:
            left -= explainer.cost(encoded, options)
            words = _words(explainer.explain(inputs, options)) if left >= 0 else []
        except InputError:  # an empty text, or no entity: there is nothing to hide or to explain
            words = []
        explained.append({**each, "words": words} if words else each)
    return explained


def _served(task: Task, inputs: Any) -> Any:
    """What a client sends of them: no wrong answers."""
    return {key: inputs[key] for key in task.input_keys} if isinstance(inputs, dict) else inputs


def _words(explanation: dict[str, Any]) -> list[dict[str, Any]]:
    tokens = explanation["tokens"]
    strongest = max((abs(token["score"]) for token in tokens), default=0.0) or 1.0
    return [{"word": token["word"], "share": round(token["score"] / strongest, 3)} for token in tokens]
