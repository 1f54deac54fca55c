"""Learning to generate: a prompt's completion by a causal model, or text to text by an encoder and a decoder.

Training and validation look at the target's tokens given the right ones before (teacher forcing); the test figures are
those of whole greedy answers, as a server gives them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from transformers import AutoConfig, PreTrainedTokenizerFast

from serving.errors import InputError
from serving.tasks import generation as serving
from serving.tasks.base import Encoded, Task, TaskSettings
from trainer.data import columns
from trainer.data.rows import Rows
from trainer.data.table import Table
from trainer.metrics.resampling import WeightedMetric, mean_of
from trainer.metrics.squad import exact_match, f1
from trainer.model.base_model import BaseCheckpoint
from trainer.model.heads import Head
from trainer.model.inputs import IGNORED, Batch
from trainer.tasks.base import Example, MetricValues, TrainingTask
from trainer.tasks.losses import one_of


@dataclass(frozen=True)
class Tokens:
    """A window made of token ids."""

    ids: list[int]

    @property
    def attention_mask(self) -> list[int]:
        """Every token counts."""
        return [1] * len(self.ids)

    @property
    def type_ids(self) -> list[int]:
        """There is one segment."""
        return [0] * len(self.ids)


class Generation(TrainingTask):
    """What both tasks share."""

    def prepare(self, base: BaseCheckpoint, tokenizer: PreTrainedTokenizerFast) -> None:
        """Keep the base model's settings, and the tokenizer for targets."""
        self._config = AutoConfig.from_pretrained(base.folder, local_files_only=True)
        self._tokenizer = tokenizer

    def read_targets(self, table: Table) -> list[str]:
        """The texts to be generated."""
        return columns.texts(table, "data.label", self.label_column)

    def settings(self, train: Rows, labels: Sequence[str], max_length: int) -> TaskSettings:
        """What the base model's own settings say of how its texts begin and end."""
        return serving.GenerationSettings(
            prefix=self.data.prefix,
            eos_token_ids=self._ends(),
            max_positions=self._positions(),
            decoder_start_token_id=getattr(self._config, "decoder_start_token_id", None),
            max_new_tokens=self.data.max_new_tokens,
        )

    @property
    def proof_metric(self) -> str:
        """The words that an answer shares with the right one."""
        return "f1"

    def metrics(self, rows: Rows, answers: Sequence[Any]) -> MetricValues:
        """F1 over words and exact match, as SQuAD scores answers."""
        pairs = [(answer[0]["generated_text"], [target]) for answer, target in zip(answers, rows.targets, strict=True)]
        return {
            "f1": float(np.mean([f1(text, right) for text, right in pairs])),
            "exact_match": float(np.mean([exact_match(text, right) for text, right in pairs])),
        }

    def weighted_metric(self, metric: str, rows: Rows, answers: Sequence[Any]) -> WeightedMetric:
        """Both scores are means over the rows."""
        score = f1 if metric == "f1" else exact_match
        pairs = zip(answers, rows.targets, strict=True)
        return mean_of([score(answer[0]["generated_text"], [target]) for answer, target in pairs])

    def is_correct(self, rows: Rows, answers: Sequence[Any]) -> list[bool]:
        """Whether the text is exactly the right one."""
        pairs = zip(answers, rows.targets, strict=True)
        return [exact_match(answer[0]["generated_text"], [target]) == 1 for answer, target in pairs]

    def mistakes(self, rows: Rows, answers: Sequence[Any], most: int = 10) -> list[dict[str, Any]]:
        """The answers that share least with the right ones; ``confidence`` is what they lack."""
        texts = [answer[0]["generated_text"] for answer in answers]
        lack = [1 - f1(text, [target]) for text, target in zip(texts, rows.targets, strict=True)]
        return [
            {
                "row": rows.numbers[at],
                "text": rows.inputs[at],
                "expected": rows.targets[at],
                "answered": texts[at] or "nothing",
                "confidence": lack[at],
            }
            for at in sorted(range(len(rows)), key=lambda at: -lack[at])[:most]
            if lack[at] > 0
        ]

    def label_count(self, labels: Tensor) -> int:
        """Target tokens."""
        return int(labels.ne(IGNORED).sum())

    def _target_ids(self, target: str, most: int) -> list[int]:
        """The target's tokens with one that ends it; the end is kept where there is no room for all."""
        ids: list[int] = self._tokenizer(target, add_special_tokens=False)["input_ids"]
        end = self._ends()[:1]
        return [*ids[: most - len(end)], *end]

    def _ends(self) -> list[int]:
        end = self._config.eos_token_id if self._config.eos_token_id is not None else self._tokenizer.eos_token_id
        return list(end) if isinstance(end, (list, tuple)) else [] if end is None else [end]

    def _positions(self) -> int | None:
        return getattr(self._config, "max_position_embeddings", None)

    def loss(self, logits: Tensor, labels: Tensor, *, training: bool) -> Tensor:
        """Cross-entropy of the target's tokens."""
        smoothing = (self.recipe.training.label_smoothing_factor or 0.0) if training else 0.0
        chosen, expected = self.aligned(logits, labels)
        return one_of(chosen.flatten(0, 1), expected.flatten(), smoothing=smoothing)

    def aligned(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and the labels that they predict, [examples, tokens, vocabulary] and [examples, tokens]."""
        return logits, labels


class TextGeneration(Generation):
    """A causal model completes a prompt."""

    serves: ClassVar[type[Task]] = serving.TextGeneration
    head: ClassVar[Head] = "causal"
    default_text = "prompt"
    default_label = "completion"

    def examples(self, task: Task, encoded: list[Encoded], target: str) -> list[Example]:
        """Prompt and target in one window; the prompt has no labels, and loses its beginning where both do not fit."""
        most = self._tokenizer.model_max_length
        answer = self._target_ids(target, most - 1)
        prompt = encoded[0].windows[0].ids[-(most - len(answer)) :]
        return [Example((Tokens([*prompt, *answer]),), [*[IGNORED] * len(prompt), *answer])]

    def aligned(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Each token's logits predict the next token."""
        return logits[:, :-1], labels[:, 1:]


class Text2TextGeneration(Generation):
    """An encoder reads, a decoder writes."""

    serves: ClassVar[type[Task]] = serving.Text2TextGeneration
    head: ClassVar[Head] = "seq2seq"

    def settings(self, train: Rows, labels: Sequence[str], max_length: int) -> TaskSettings:
        """As for all generation; an encoder-decoder must say what its answers begin with."""
        found = super().settings(train, labels, max_length)
        if found.model_dump()["decoder_start_token_id"] is None:
            lack = "model: its config.json has no decoder_start_token_id; give an encoder-decoder"
            raise InputError(lack, field="model")
        return found

    def examples(self, task: Task, encoded: list[Encoded], target: str) -> list[Example]:
        """The input's window, and the target's tokens."""
        return [Example((encoded[0].windows[0],), self._target_ids(target, self._tokenizer.model_max_length))]

    def batch(self, batch: Batch) -> Batch:
        """The decoder reads the target one place behind, after its start token."""
        labels = batch["labels"]
        start = labels.new_full((len(labels), 1), self._config.decoder_start_token_id)
        before = torch.cat([start, labels[:, :-1]], dim=1)
        return {**batch, "decoder_input_ids": before.masked_fill(before == IGNORED, self._config.pad_token_id or 0)}
