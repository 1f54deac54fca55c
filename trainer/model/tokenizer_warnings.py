"""What a tokenizer's files say otherwise than each other, or than the model has rows for."""

from __future__ import annotations

import json
from pathlib import Path

from transformers import PreTrainedTokenizerFast

from trainer.model.model_folder import TOKENIZER_CONFIG, read_json

_MOST_NAMED = 3


def tokenizer_warnings(tokenizer: PreTrainedTokenizerFast, folder: Path, vocabulary: int) -> list[str]:
    """``vocabulary``: rows of the model's embeddings; ``folder``: where the tokenizer is from."""
    return [text for text in (_without_embedding(tokenizer, vocabulary), _case(tokenizer, folder)) if text]


def _without_embedding(tokenizer: PreTrainedTokenizerFast, vocabulary: int) -> str:
    tokens = list(tokenizer.convert_ids_to_tokens(list(range(vocabulary, len(tokenizer)))))
    if not tokens:
        return ""
    named = ", ".join(map(repr, tokens[:_MOST_NAMED])) + (", …" if len(tokens) > _MOST_NAMED else "")
    return f"the model has no embedding for {len(tokens)} tokens of its tokenizer, and refuses texts with them: {named}"


def _case(tokenizer: PreTrainedTokenizerFast, folder: Path) -> str:
    """transformers' classes obey tokenizer_config.json, and its general one tokenizer.json."""
    said, file = read_json(folder / TOKENIZER_CONFIG).get("do_lower_case"), folder / "tokenizer.json"
    if not isinstance(said, bool) or not file.is_file():
        return ""
    normalizer = json.dumps(json.loads(file.read_bytes()).get("normalizer"))
    if said is ('"Lowercase"' in normalizer or '"lowercase": true' in normalizer):
        return ""
    own = tokenizer.backend_tokenizer.normalizer
    done = "are lower-cased" if own and own.normalize_str("A") == "a" else "keep their capitals"
    does = "does not lower-case" if said else "lower-cases"
    return (
        f"the tokenizer's files disagree: do_lower_case of tokenizer_config.json is {json.dumps(said)}, and"
        f" tokenizer.json {does}; texts {done}, as by transformers"
    )
