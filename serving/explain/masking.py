"""Masking tokens of a window, and what replaces them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from tokenizers import Encoding, Tokenizer

from serving.errors import InputError
from serving.explain.attribution import Coalitions

Kind = Literal["mask", "unk", "pad", "delete"]

NAMES = {"mask": ("[MASK]", "<mask>"), "unk": ("[UNK]", "<unk>")}
"""What model families call these tokens."""


@dataclass(frozen=True)
class MaskedWindow:
    ids: list[int]
    attention_mask: list[int]
    type_ids: list[int]


@dataclass(frozen=True)
class Replacement:
    """Attributes:
    kind: ``mask`` is the pretrained sign for an unseen word; ``unk`` means a rare word; ``pad`` means nothing;
        ``delete`` moves the tokens after it.
    token: empty for ``delete``.
    attended: whether other tokens see it.
    """

    kind: Kind
    token: str = ""
    id: int = 0
    attended: bool = True

    def mask_window(self, window: Encoding, hidden: Sequence[int]) -> MaskedWindow:
        columns = [np.array(column) for column in (window.ids, window.attention_mask, window.type_ids)]
        rows = np.array(hidden, dtype=np.int64)
        if self.kind == "delete":
            columns = [np.delete(column, rows) for column in columns]
        else:
            columns[0][rows] = self.id
            columns[1][rows] *= self.attended
        return MaskedWindow(*(column.tolist() for column in columns))

    def mask_windows(self, window: Encoding, groups: Sequence[Sequence[int]], shown: Coalitions) -> list[MaskedWindow]:
        """A window a row of ``shown`` [rows, groups]; groups of token indices are masked where it is False."""
        return [
            self.mask_window(
                window, [row for group, seen in zip(groups, coalition, strict=True) if not seen for row in group]
            )
            for coalition in shown
        ]


def select_replacement(tokenizer: Tokenizer, pad_token_id: int, kind: Kind | None) -> Replacement:
    """Of a kind, or the best; raises InputError if the tokenizer lacks it."""
    available = replacements(tokenizer, pad_token_id)
    if kind is None:
        return next(iter(available.values()))
    if kind not in available:
        raise InputError(
            f"parameters.replacement: this model's tokenizer has no {kind} token; accepted are: {', '.join(available)}",
            field="parameters.replacement",
        )
    return available[kind]


def replacements(tokenizer: Tokenizer, pad_token_id: int) -> dict[Kind, Replacement]:
    """All of a tokenizer's replacements, best first."""
    special = {token.content: number for number, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    kinds: tuple[Kind, ...] = ("mask", "unk")
    found = {kind: Replacement(kind, name, special[name]) for kind in kinds for name in NAMES[kind] if name in special}
    pad = Replacement("pad", tokenizer.id_to_token(pad_token_id) or "", pad_token_id, attended=False)
    return {**found, "pad": pad, "delete": Replacement("delete")}
