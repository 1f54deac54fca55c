"""A static student: the teacher's vector of each token of the vocabulary, and a fresh head.

A token is read alone by the teacher; its vector is then centred and weighted by how rare it is in the training rows, as
in model2vec and in Arora et al. 2017 ("A Simple but Tough-to-Beat Baseline for Sentence Embeddings").
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import torch
from rich.console import Console
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from serving.files import replace_file
from trainer.fit.validation import Datasets
from trainer.model.checkpoint import put_fresh_head
from trainer.model.heads import Model, backbone_of, mean_of_tokens
from trainer.model.inputs import cut
from trainer.model.static_vectors import StaticVectors
from trainer.setup.teachers import KEY
from trainer.setup.training_setup import TrainingSetup

FILE = "vectors.safetensors"
BATCH = 512

RARITY = 1e-3
"""Arora's a: a token of this share of all tokens weighs one half."""
SPREAD = 0.05
"""Standard deviation of the vectors' numbers, as of a transformer's embeddings: learning rates suit both."""


def token_vectors(setup: TrainingSetup, datasets: Datasets, state: Path, console: Console) -> Tensor:
    """[vocabulary, width], computed once; a resumed run finds them in ``state``."""
    path, digest = state / FILE, setup.teachers[0].sha256
    if path.is_file():
        with safe_open(path, "pt") as file:
            if (file.metadata() or {}).get(KEY) == digest:
                kept: Tensor = file.get_tensor("vectors")
                return kept
    count = setup.base.config.vocab_size
    console.print(f"computing the teacher's vectors of {count:,} tokens…", highlight=False)
    vectors = _weigh(_read_alone(setup), _shares(datasets, count), setup.tokenizer.all_special_ids)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replace_file(path) as out:
        out.write(save({"vectors": vectors}, {KEY: digest}))
    return vectors


def build_static(setup: TrainingSetup, vectors: Tensor | None) -> Model:
    """None, before a training: any will do to time its steps."""
    backbone = StaticVectors(setup.base.config)
    if vectors is not None:
        with torch.no_grad():
            backbone.embeddings.weight.copy_(vectors)
    return put_fresh_head(backbone, setup.model_spec, setup.splits.labels)


@torch.inference_mode()
def _read_alone(setup: TrainingSetup) -> Tensor:
    """The mean of the teacher's vectors of a token between the special ones of a text."""
    checkpoint = setup.teachers[0].load()
    backbone = backbone_of(checkpoint.model).to("cuda" if torch.cuda.is_available() else "cpu")
    device, vectors = next(backbone.parameters()).device, []
    before, after = _special_around(checkpoint.tokenizer)
    for ids in cut(range(setup.base.config.vocab_size), BATCH):
        rows = torch.tensor([[*before, each, *after] for each in ids], device=device)
        mask = torch.ones_like(rows)
        vectors.append(mean_of_tokens(backbone(input_ids=rows, attention_mask=mask).last_hidden_state, mask).cpu())
    return torch.cat(vectors)


def _special_around(tokenizer: PreTrainedTokenizerFast) -> tuple[list[int], list[int]]:
    """The tokens that stand before and after every text."""
    encoding = tokenizer.backend_tokenizer.encode("a")
    places = [at for at, special in enumerate(encoding.special_tokens_mask) if not special]
    return encoding.ids[: places[0]], encoding.ids[places[-1] + 1 :]


def _shares(datasets: Datasets, count: int) -> Tensor:
    """Of each token among the training rows', with one more of each."""
    windows = (window for at in range(len(datasets.train)) for window in datasets.train[at].windows)
    counts = Counter(number for window in windows for number in window.ids)
    shares = torch.ones(count, dtype=torch.float64)
    for number, times in counts.items():
        shares[number] += times
    return shares / shares.sum()


def _weigh(vectors: Tensor, shares: Tensor, special: list[int]) -> Tensor:
    """Special tokens say nothing."""
    centred = vectors.double() - vectors.double().mean(dim=0)
    weighted = centred * (RARITY / (RARITY + shares))[:, None] * (SPREAD / centred.std())
    weighted[special] = 0.0
    return weighted.float()
