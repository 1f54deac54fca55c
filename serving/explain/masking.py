"""What a hidden token is replaced by, and the rows that the graph runs."""

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
"""What the families call these tokens."""


@dataclass(frozen=True)
class Hidden:
    """A window with some of its tokens hidden; what the engine runs."""

    ids: list[int]
    attention_mask: list[int]
    type_ids: list[int]


@dataclass(frozen=True)
class Replacement:
    """What stands in a hidden token's place: the token's name and number; nothing where it is deleted.

    ``mask`` keeps every other token in its place and is, from pretraining, the model's own sign for a word it cannot
    see: the default where the tokenizer has it. ``unk`` is the next best: a token, but one that means a rare word.
    ``pad`` is attended by nothing, so that the token is out of sight; every tokenizer here has it. ``delete`` closes
    the gap, which moves the tokens behind it.
    """

    kind: Kind
    token: str = ""
    id: int = 0

    def window(self, window: Encoding, hidden: Sequence[int]) -> Hidden:
        """The window with these of its rows hidden."""
        columns = [np.array(column) for column in (window.ids, window.attention_mask, window.type_ids)]
        rows = np.array(hidden, dtype=np.int64)
        if self.kind == "delete":
            columns = [np.delete(column, rows) for column in columns]
        else:
            columns[0][rows] = self.id
            columns[1][rows] *= self.kind != "pad"
        return Hidden(*(column.tolist() for column in columns))

    def windows(self, window: Encoding, groups: Sequence[Sequence[int]], shown: Coalitions) -> list[Hidden]:
        """A window for each row of ``shown`` [rows, groups], its groups of rows hidden where it says so."""
        return [
            self.window(
                window, [row for group, seen in zip(groups, coalition, strict=True) if not seen for row in group]
            )
            for coalition in shown
        ]


def replacement_of(tokenizer: Tokenizer, pad_token_id: int, kind: Kind | None) -> Replacement:
    """The replacement of that kind, or of the first kind that the tokenizer has; else InputError."""
    there = replacements(tokenizer, pad_token_id)
    if kind is None:
        return next(iter(there.values()))
    if kind not in there:
        raise InputError(
            f"parameters.replacement: this model's tokenizer has no {kind} token; accepted are: {', '.join(there)}",
            field="parameters.replacement",
        )
    return there[kind]


def replacements(tokenizer: Tokenizer, pad_token_id: int) -> dict[Kind, Replacement]:
    """All that can be had, best first."""
    special = {token.content: number for number, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    kinds: tuple[Kind, ...] = ("mask", "unk")
    found = {kind: Replacement(kind, name, special[name]) for kind in kinds for name in NAMES[kind] if name in special}
    pad = Replacement("pad", tokenizer.id_to_token(pad_token_id) or "", pad_token_id)
    return {**found, "pad": pad, "delete": Replacement("delete")}
