"""Greedy answers by transformers' own ``generate``, for validation and as the proof's reference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedTokenizerFast

from serving.observability.progress import track
from serving.tasks.base import Task
from trainer.model.heads import LibraryModel, Model
from trainer.model.inputs import encode


@dataclass(frozen=True)
class GreedyAnswer:
    """``token_ids`` end with the end-of-sequence token if it was generated."""

    token_ids: list[int]
    text: str


@torch.inference_mode()
def generate(
    model: Model, tokenizer: PreTrainedTokenizerFast, task: Task, items: Sequence[Any]
) -> Iterator[GreedyAnswer]:
    """By transformers, one item at a time so that none is padded."""
    assert isinstance(model, LibraryModel)
    for encoded in track("texts", encode(tokenizer, task, items), len(items)):
        yield _generate_one(model, tokenizer, task, encoded.windows[0].ids)


def _generate_one(
    model: LibraryModel, tokenizer: PreTrainedTokenizerFast, task: Task, prompt: list[int]
) -> GreedyAnswer:
    settings: Any = task.settings
    seq2seq = settings.decoder_start_token_id is not None
    room = settings.max_positions - len(prompt) if settings.max_positions and not seq2seq else settings.max_new_tokens
    ids = torch.tensor([prompt], device=next(model.parameters()).device)
    own = model.model.generation_config.eos_token_id  # the reference ends as transformers does, not as serving is told
    ends = {} if own is not None else {"eos_token_id": settings.eos_token_ids or None}
    output = model.model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=max(1, min(settings.max_new_tokens, room)),
        do_sample=False,
        num_beams=1,
        pad_token_id=tokenizer.pad_token_id,
        **ends,
    )[0].tolist()
    answer = output[1:] if seq2seq else output[len(prompt) :]
    before = [] if seq2seq else prompt
    return GreedyAnswer(answer, _decode(tokenizer, [*before, *answer])[len(_decode(tokenizer, before)) :])


def _decode(tokenizer: PreTrainedTokenizerFast, ids: Sequence[int]) -> str:
    text: str = tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False) if ids else ""
    return text
