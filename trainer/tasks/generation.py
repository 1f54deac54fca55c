"""Generation: a causal model completes a prompt, or an encoder-decoder turns text into text.

Training and validation predict each target token from the right ones before it; test metrics are of whole answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate
from operator import and_, eq
from typing import Any

import numpy as np
import torch
from tokenizers import Encoding
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from serving.errors import InputError
from serving.tasks import generation as serving
from serving.tasks.base import Encoded, Task, TaskSettings
from serving.tasks.chat import ChatFormat
from trainer.data import columns
from trainer.data.rows import Rows
from trainer.data.table import Table
from trainer.metrics.changes import PROBABILITY, TEXT, Changes, Side, token_probability_changes
from trainer.metrics.squad import f1
from trainer.model.architecture import most_positions
from trainer.model.base_model import BaseCheckpoint
from trainer.model.generation_config import left_out_warning, read_generation_config, served_settings
from trainer.model.inputs import IGNORED, Batch, TokenWindow
from trainer.model.refusal import refusing
from trainer.tasks.base import LONGEST, Example, TrainingTask
from trainer.tasks.losses import softmax_loss
from trainer.tasks.prompt_rows import (
    Renderer,
    Target,
    conversation_table,
    find_conversations,
    lone_text_table,
    text_of_target,
)
from trainer.tasks.scoring import WordScoring, mistake
from trainer.tasks.target_lengths import LengthLimits, length_warnings

SHORTEST_PROMPT = 16

DATED = (
    "model: its chat template writes the date; /v1/chat/completions writes that of the training, as the rows have it"
)


class Generation(WordScoring, TrainingTask):
    """What both tasks share."""

    annotation = "text"
    mistake_measure = "missed_words"
    _tokenizer: PreTrainedTokenizerFast

    def prepare(self, base: BaseCheckpoint, tokenizer: PreTrainedTokenizerFast) -> None:
        super().prepare(base, tokenizer)
        self._config = base.config
        self._generation = read_generation_config(base.folder, base.id)
        self._rules = served_settings(self._generation, base.id)

    def read_targets(self, table: Table) -> list[Any]:
        return columns.column(table, "data.label", self.label_column, self._target_problem)

    def _target_problem(self, value: Any) -> str | None:
        problem = None if isinstance(value, dict) else columns.text_problem(value)
        if problem or any(map(str.isalnum, text_of_target(value))):
            return problem
        return None if self._target_ids(value) else "has no tokens; a text needs one at least"

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
        return [[text_of_target(target)] for target in rows.targets]

    def changes(self, before: Side, after: Side) -> Changes:
        """Of the next token's probabilities up to the first token that differs, and the answer's words."""
        theirs, ours = (side.results[0][0].token_ids for side in (before, after))
        shared = 1 + sum(accumulate(map(eq, theirs[:-1], ours[:-1]), and_))
        logits = [side.logits()[0][:shared] for side in (before, after)]
        texts = [side.decode()[0]["generated_text"] for side in (before, after)]
        return {PROBABILITY: token_probability_changes(*logits), TEXT: np.array([1 - f1(texts[1], [texts[0]])])}

    def mistakes(self, rows: Rows, answers: Sequence[Any], most: int = 10) -> list[dict[str, Any]]:
        pairs = self.answered_texts(rows, answers)
        misses = [1 - f1(*pair) for pair in pairs]
        return [
            mistake(rows, at, expected=pairs[at][1][0], answered=pairs[at][0] or "nothing", missed_words=misses[at])
            for at in sorted(range(len(rows)), key=lambda at: -misses[at])[:most]
            if misses[at] > 0
        ]

    def loss(self, logits: Tensor, labels: Tensor, *, training: bool) -> Tensor:
        predicted, expected = self.align(logits, labels)
        return softmax_loss(predicted.flatten(0, 1), expected.flatten(), smoothing=self.smoothing(training))

    def align(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [examples, tokens, vocabulary] and the labels that they predict."""
        return logits, labels

    def warnings(self, task: Task, rows: Rows) -> list[str]:
        """About targets, and prompts, that are longer than ``data.max_length``, and what the base model asks for."""
        texts = [task.segments(task.check(inputs)) for inputs in rows.inputs]
        inputs = [len(ids) for ids in self._tokenizer(texts, verbose=False)["input_ids"]]
        targets = [len(self._with_end(self._target_ids(target))) for target in rows.targets]
        longest = [most for most in (most_positions(self._config),) if most is not None]
        limits = LengthLimits(self._tokenizer.model_max_length, self.data.max_new_tokens, *longest)
        told = left_out_warning(self._generation)
        return [*length_warnings(inputs, targets, limits, together=self.head == "causal"), *([told] if told else [])]

    def _target_ids(self, target: Target) -> list[int]:
        """Of what is learned."""
        text = target if isinstance(target, str) else target["rendered"]
        ids: list[int] = self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        return ids

    def _with_end(self, ids: list[int]) -> list[int]:
        """Up to the first end-of-sequence token, which a chat template may have put there."""
        ends = self._eos_token_ids()
        end = next((at for at, each in enumerate(ids) if each in ends), None)
        return [*ids, *ends[:1]] if end is None else ids[: end + 1]

    def _learned_ids(self, target: Target, most: int) -> list[int]:
        """At most ``most``: of a target that is cut, no end is learned."""
        return self._with_end(self._target_ids(target))[:most]

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

    def imported_length(self, base: BaseCheckpoint, longest: int) -> int:
        """Leaves positions for an answer too."""
        positions = most_positions(base.config)
        room = LONGEST if positions is None else positions - self.data.max_new_tokens
        if room < SHORTEST_PROMPT:
            return self.default_max_length(base)
        return min(room, super().imported_length(base, longest))

    def prepare(self, base: BaseCheckpoint, tokenizer: PreTrainedTokenizerFast) -> None:
        positions, longest = most_positions(base.config), self.data.max_length or 0
        if positions is not None and longest >= positions:
            raise InputError(
                f"data.max_length: a prompt of {longest} tokens takes all {positions} positions of {base.id}; an"
                f" answer needs some: give fewer, such as {max(4, positions - self.data.max_new_tokens)}",
                field="data.max_length",
            )
        super().prepare(base, tokenizer)

    def settings(self, train: Rows, labels: Sequence[str], max_length: int) -> TaskSettings:
        return super().settings(train, labels, max_length).model_copy(update={"chat": self._chat_format[0]})

    def warnings(self, task: Task, rows: Rows) -> list[str]:
        """Also about a chat template that is not served as it is."""
        return [*super().warnings(task, rows), *filter(None, [self._chat_format[1]])]

    @cached_property
    def _chat_format(self) -> tuple[ChatFormat | None, str]:
        """None without a template that is data; a warning, if there is one."""
        try:
            renderer = Renderer(self._tokenizer, self._model)
        except InputError:
            return None, ""
        try:
            found = renderer.chat_format()
        except InputError as error:
            told = f"its chat template is not served at /v1/chat/completions ({error}); send rendered prompts"
            return None, f"model: {told}"
        return found, DATED if "strftime_now" in renderer.template else ""

    def arrange(self, table: Table, labelled: bool | None) -> Table:
        """Conversations and texts alone become prompts and completions."""
        table = super().arrange(table, labelled)
        text, label = self.data.text, self.data.label if isinstance(self.data.label, str) else None
        names = text or self.default_text, label or self.default_label
        if conversations := find_conversations(table, text, label, labelled):
            renderer = Renderer(self._tokenizer, self._model)
            return conversation_table(table, conversations, renderer, *names, labelled)
        lone = self._lone_text(table) if label is None and names[1] not in table.columns else None
        if lone and (labelled is not False or text is None):
            return lone_text_table(table, lone, *names)
        return table

    def _lone_text(self, table: Table) -> str | None:
        """The column of texts without completions, if any."""
        found = [name for name in (self.data.text or "text", self.default_text) if name in table.columns]
        return found[0] if found and self.default_text not in table.columns else None

    def examples(self, task: Task, encoded: list[Encoded], target: Target) -> list[Example]:
        """The prompt is cut at its beginning to make room; a text that is learned whole, at its end."""
        most = self._tokenizer.model_max_length
        answer, window = self._learned_ids(target, most - 1), encoded[0].windows[0]
        learned = [] if isinstance(target, str) else target["learned"]
        if learned and learned[0][0] == 0:
            answer = answer[: max(most - len(window.ids), 1)]
        kept = slice(-(most - len(answer)), None)
        labels = [*self._prompt_labels(window, learned)[kept], *answer]
        return [Example((TokenWindow([*window.ids[kept], *answer]),), labels)]

    def _prompt_labels(self, window: Encoding, learned: Sequence[Sequence[int]]) -> list[int]:
        """The tokens of what is learned, and -100 for all others."""
        if not learned:
            return [IGNORED] * len(window.ids)
        shift = len(self.data.prefix)
        return [
            token if any(shift + start <= place < shift + end for start, end in learned) and place < after else IGNORED
            for token, (place, after) in zip(window.ids, window.offsets, strict=True)
        ]

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

    def examples(self, task: Task, encoded: list[Encoded], target: Target) -> list[Example]:
        return [Example((encoded[0].windows[0],), self._learned_ids(target, self._tokenizer.model_max_length))]

    def batch(self, batch: Batch) -> Batch:
        """The decoder reads the target shifted by its start token."""
        labels = batch["labels"]
        start = labels.new_full((len(labels), 1), self._start() or 0)
        shifted = torch.cat([start, labels[:, :-1]], dim=1)
        return {**batch, "decoder_input_ids": shifted.masked_fill(shifted == IGNORED, self._config.pad_token_id or 0)}
