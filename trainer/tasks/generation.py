"""Generation: a causal model completes a prompt, or an encoder-decoder turns text into text.

Training and validation predict each target token from the right ones before it; test metrics are of whole answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import and_, eq
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from serving.errors import InputError
from serving.tasks import generation as serving
from serving.tasks.base import Encoded, Task, TaskSettings
from trainer.data import columns
from trainer.data.rows import Rows
from trainer.data.table import Table
from trainer.metrics.changes import PROBABILITY, TEXT, Changes, Side, token_probability_changes
from trainer.metrics.squad import f1
from trainer.model.architecture import most_positions
from trainer.model.base_model import BaseCheckpoint
from trainer.model.generation_config import read_generation_config, served_settings
from trainer.model.inputs import IGNORED, Batch
from trainer.model.refusal import refusing
from trainer.tasks.base import Example, TrainingTask
from trainer.tasks.losses import softmax_loss
from trainer.tasks.scoring import WordScoring, mistake

SHORTEST_PROMPT = 16


@dataclass(frozen=True)
class TokenWindow:
    """In the shape of a tokenizer's encoding."""

    ids: list[int]

    @property
    def attention_mask(self) -> list[int]:
        return [1] * len(self.ids)

    @property
    def type_ids(self) -> list[int]:
        return [0] * len(self.ids)


class Generation(WordScoring, TrainingTask):
    """What both tasks share."""

    def prepare(self, base: BaseCheckpoint, tokenizer: PreTrainedTokenizerFast) -> None:
        self._config = base.config
        self._tokenizer = tokenizer
        self._model = base.id
        self._generation = read_generation_config(base.folder, base.id)
        self._rules = served_settings(self._generation, base.id)

    def read_targets(self, table: Table) -> list[Any]:
        return columns.texts(table, "data.label", self.label_column)

    def settings(self, train: Rows, labels: Sequence[str], max_length: int) -> TaskSettings:
        with refusing(self._model, "its generation_config has values that cannot be served"):
            return serving.GenerationSettings(
                prefix=self.data.prefix,
                eos_token_ids=self._eos_token_ids(),
                max_positions=most_positions(self._config),
                decoder_start_token_id=self._start(),
                max_new_tokens=self.data.max_new_tokens,
                **self._rules,
            )

    @property
    def proof_metric(self) -> str:
        return "f1"

    def answered_text(self, answer: Any) -> str:
        return str(answer[0]["generated_text"])

    def accepted_texts(self, rows: Rows) -> list[list[str]]:
        return [[target] for target in rows.targets]

    def changes(self, before: Side, after: Side) -> Changes:
        """Of the next token's probabilities up to the first token that differs, and the answer's words."""
        theirs, ours = (side.results[0][0].token_ids for side in (before, after))
        shared = 1 + sum(accumulate(map(eq, theirs[:-1], ours[:-1]), and_))
        logits = [side.logits()[0][:shared] for side in (before, after)]
        texts = [side.decode()[0]["generated_text"] for side in (before, after)]
        return {PROBABILITY: token_probability_changes(*logits), TEXT: np.array([1 - f1(texts[1], [texts[0]])])}

    def mistakes(self, rows: Rows, answers: Sequence[Any], most: int = 10) -> list[dict[str, Any]]:
        """``confidence`` is 1 - F1."""
        pairs = self.answered_texts(rows, answers)
        misses = [1 - f1(*pair) for pair in pairs]
        return [
            mistake(rows, at, expected=rows.targets[at], answered=pairs[at][0] or "nothing", confidence=misses[at])
            for at in sorted(range(len(rows)), key=lambda at: -misses[at])[:most]
            if misses[at] > 0
        ]

    def loss(self, logits: Tensor, labels: Tensor, *, training: bool) -> Tensor:
        predicted, expected = self.align(logits, labels)
        return softmax_loss(predicted.flatten(0, 1), expected.flatten(), smoothing=self.smoothing(training))

    def align(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [examples, tokens, vocabulary] and the labels that they predict."""
        return logits, labels

    def _target_ids(self, target: str, most: int) -> list[int]:
        """At most ``most``, with an end-of-sequence token."""
        ids: list[int] = self._tokenizer(target, add_special_tokens=False)["input_ids"]
        end = self._eos_token_ids()[:1]
        return [*ids[: most - len(end)], *end]

    def _start(self) -> int | None:
        start: int | None = self._generation.decoder_start_token_id
        return getattr(self._config, "decoder_start_token_id", None) if start is None else start

    def _eos_token_ids(self) -> list[int]:
        ends = (self._generation.eos_token_id, self._config.eos_token_id, self._tokenizer.eos_token_id)
        end = next((each for each in ends if each is not None), None)
        return list(end) if isinstance(end, (list, tuple)) else [] if end is None else [end]


class TextGeneration(Generation):
    """A causal model completes a prompt."""

    serves = serving.TextGeneration
    head = "causal"
    default_text = "prompt"
    default_label = "completion"

    def default_max_length(self, base: BaseCheckpoint) -> int:
        """Leaves positions for an answer, where there are enough."""
        positions, longest = most_positions(base.config), super().default_max_length(base)
        room = longest if positions is None else positions - self.data.max_new_tokens
        return min(longest, room) if room >= SHORTEST_PROMPT else longest // 2

    def prepare(self, base: BaseCheckpoint, tokenizer: PreTrainedTokenizerFast) -> None:
        positions, longest = most_positions(base.config), self.data.max_length or 0
        if positions is not None and longest >= positions:
            raise InputError(
                f"data.max_length: a prompt of {longest} tokens takes all {positions} positions of {base.id}; an"
                f" answer needs some: give fewer, such as {max(4, positions - self.data.max_new_tokens)}",
                field="data.max_length",
            )
        super().prepare(base, tokenizer)

    def examples(self, task: Task, encoded: list[Encoded], target: str) -> list[Example]:
        """The prompt has no labels, and is cut at its beginning to make room."""
        most = self._tokenizer.model_max_length
        answer = self._target_ids(target, most - 1)
        prompt = encoded[0].windows[0].ids[-(most - len(answer)) :]
        return [Example((TokenWindow([*prompt, *answer]),), [*[IGNORED] * len(prompt), *answer])]

    def align(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        return logits[:, :-1], labels[:, 1:]


class Text2TextGeneration(Generation):
    """An encoder reads, a decoder writes."""

    serves = serving.Text2TextGeneration
    head = "seq2seq"

    def settings(self, train: Rows, labels: Sequence[str], max_length: int) -> TaskSettings:
        settings = super().settings(train, labels, max_length)
        if settings.model_dump()["decoder_start_token_id"] is None:
            problem = "model: its config.json has no decoder_start_token_id; give an encoder-decoder"
            raise InputError(problem, field="model")
        return settings

    def examples(self, task: Task, encoded: list[Encoded], target: str) -> list[Example]:
        return [Example((encoded[0].windows[0],), self._target_ids(target, self._tokenizer.model_max_length))]

    def batch(self, batch: Batch) -> Batch:
        """The decoder reads the target shifted by its start token."""
        labels = batch["labels"]
        start = labels.new_full((len(labels), 1), self._start() or 0)
        shifted = torch.cat([start, labels[:, :-1]], dim=1)
        return {**batch, "decoder_input_ids": shifted.masked_fill(shifted == IGNORED, self._config.pad_token_id or 0)}
