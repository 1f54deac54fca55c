"""The reference: transformers' tokenizer and the torch checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from serving.tasks.base import Encoded, Logits
from trainer.model.checkpoint import Checkpoint, load_checkpoint
from trainer.model.generate import GreedyAnswer, generate
from trainer.model.heads import GeneratingModel
from trainer.model.inference import rows_logits
from trainer.model.inputs import encode

BATCH_SIZE = 32


class ReferenceModel:
    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self.task = checkpoint.task
        self.tokenizer: Tokenizer = checkpoint.tokenizer.backend_tokenizer  # only counts tokens

    def encode(self, items: Sequence[Any]) -> list[Encoded]:
        """Truncated to the checkpoint's ``max_length``, not padded."""
        return encode(self._checkpoint.tokenizer, self.task, items)

    def run(self, encoded: Sequence[Encoded]) -> list[list[Any]]:
        """By item and window: float32 logits, or a generated answer."""
        return rows_logits(self._checkpoint.model, self._checkpoint.tokenizer, encoded, BATCH_SIZE)

    def logits(self, encoded: Encoded, results: list[Any]) -> list[Logits]:
        return results


class GeneratingReference(ReferenceModel):
    """Answers with transformers' greedy ``generate``."""

    def run(self, encoded: Sequence[Encoded]) -> list[list[Any]]:
        model, tokenizer = self._checkpoint.model, self._checkpoint.tokenizer
        answers = generate(model, tokenizer, self.task, [each.item for each in encoded])
        return [[[answer]] for answer in answers]

    @torch.inference_mode()
    def logits(self, encoded: Encoded, results: list[list[GreedyAnswer]]) -> list[Logits]:
        """[tokens, vocabulary], from one pass over prompt and answer."""
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
    """Raises InputError if the checkpoint is incomplete."""
    checkpoint = load_checkpoint(folder)
    kind = GeneratingReference if isinstance(checkpoint.model, GeneratingModel) else ReferenceModel
    return kind(checkpoint)
