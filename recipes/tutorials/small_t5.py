"""A small T5 that knows nothing yet, so that docs/tutorials/generation.md needs no model hub.

    python recipes/tutorials/small_t5.py FOLDER

Its pieces of words come from the tutorial's own rows; its weights are random. A model of the hub, such as
google/flan-t5-small, has read much and needs far fewer rows.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import Unigram
from tokenizers.pre_tokenizers import Metaspace
from tokenizers.trainers import UnigramTrainer
from transformers import T5Config, T5ForConditionalGeneration, T5Tokenizer

ROWS = Path(__file__).parent / "data" / "orders.csv"
SPECIAL = ["<pad>", "</s>", "<unk>"]


def train_tokenizer(texts: list[str]) -> T5Tokenizer:
    """Unigram pieces, as T5's own tokenizer has them."""
    pieces = Tokenizer(Unigram())
    pieces.pre_tokenizer = Metaspace()
    trainer = UnigramTrainer(vocab_size=200, special_tokens=SPECIAL, unk_token="<unk>", show_progress=False)
    pieces.train_from_iterator(texts, trainer)
    scores = sorted(pieces.get_vocab().items(), key=lambda piece: piece[1])
    return T5Tokenizer(vocab=[(piece, -float(at)) for at, (piece, _) in enumerate(scores)], extra_ids=0)


def make_model(folder: Path) -> None:
    """Two layers on each side, 64 numbers wide."""
    with ROWS.open(encoding="utf-8", newline="") as file:
        texts = [text for row in csv.DictReader(file) for text in (row["note"], row["order"])]
    tokenizer = train_tokenizer(texts)
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=len(tokenizer), d_model=64, d_kv=16, d_ff=128, num_layers=2, num_heads=4, decoder_start_token_id=0
    )
    T5ForConditionalGeneration(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    make_model(Path(sys.argv[1]))
