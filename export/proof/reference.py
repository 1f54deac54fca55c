"""The reference of the proof: transformers' tokenizer and the torch checkpoint, nothing of serving's engine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from serving.tasks.base import Encoded, Logits, Task
from trainer.model.checkpoint import Checkpoint, load_checkpoint
from trainer.model.generate import GreedyAnswer, generate
from trainer.model.heads import GeneratingModel
from trainer.model.inference import rows_logits
from trainer.model.inputs import encode

BATCH_SIZE = 32


class ReferenceModel:
    """The trained checkpoint, as the proof queries it."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint

    @property
    def task(self) -> Task:
        """The checkpoint's task with its labels and tuned settings."""
        return self._checkpoint.task

    @property
    def tokenizer(self) -> Tokenizer:
        """Only counts tokens; `encode` uses transformers' own tokenizer around it."""
        backend: Tokenizer = self._checkpoint.tokenizer.backend_tokenizer
        return backend

    def encode(self, items: Sequence[Any]) -> list[Encoded]:
        """Each item's windows, truncated to the checkpoint's ``max_length``, not padded."""
        return encode(self._checkpoint.tokenizer, self.task, items)

    def run(self, encoded: Sequence[Encoded]) -> list[list[Any]]:
        """For each item and window, what the task decodes: float32 logits, or a generated answer."""
        return rows_logits(self._checkpoint.model, self._checkpoint.tokenizer, encoded, BATCH_SIZE)

    def logits(self, encoded: Encoded, results: list[Any]) -> list[Logits]:
        """The logits behind an item's results."""
        return results


class GeneratingReference(ReferenceModel):
    """Answers with transformers' own greedy ``generate``."""

    def run(self, encoded: Sequence[Encoded]) -> list[list[Any]]:
        """One answer for each item."""
        model, tokenizer = self._checkpoint.model, self._checkpoint.tokenizer
        answers = generate(model, tokenizer, self.task, [each.item for each in encoded])
        return [[[answer]] for answer in answers]

    @torch.inference_mode()
    def logits(self, encoded: Encoded, results: list[list[GreedyAnswer]]) -> list[Logits]:
        """The logits of the answer's tokens, [tokens, vocabulary], from one pass over prompt and answer."""
        model = self._checkpoint.model
        assert isinstance(model, GeneratingModel)
        prompt, answer = encoded.windows[0].ids, results[0][0].token_ids
        start = self.task.settings.model_dump()["decoder_start_token_id"]
        if start is not None:
            decoder = torch.tensor([[start, *answer[:-1]]])
            output = model.model(input_ids=torch.tensor([prompt]), decoder_input_ids=decoder).logits[0]
        else:
            output = model.model(input_ids=torch.tensor([[*prompt, *answer[:-1]]])).logits[0, len(prompt) - 1 :]
        logits: Logits = output.float().numpy()
        return [logits]


def load_reference(folder: Path) -> ReferenceModel:
    """Load the checkpoint in ``folder``; raises InputError if a part of it is missing."""
    checkpoint = load_checkpoint(folder)
    kind = GeneratingReference if isinstance(checkpoint.model, GeneratingModel) else ReferenceModel
    return kind(checkpoint)
