"""From an input to its explanation: run it as it is, then with words masked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from tokenizers import Encoding, Tokenizer

from serving.errors import InputError, InputTooLarge
from serving.explain.attribution import EMPTY, FULL, Design, count_rows, occlusion, rows_of_orders, shapley
from serving.explain.masking import MaskedWindow, Replacement, select_replacement
from serving.explain.parameters import MAX_ROWS, MAX_TOKENS, ExplainParameters
from serving.explain.segments import Unit, split_blocks, units_of
from serving.explain.targets import Target, target_of, unsupported_reason
from serving.tasks.base import Encoded, Logits, Task
from serving.tasks.inputs import PAIR
from serving.tasks.question_answering import KEYS, QuestionAnswering


@dataclass(frozen=True)
class ExplanationPlan:
    """The windows to run (``rows``) and how to read their logits. ``players``: blocks of units."""

    rows: list[MaskedWindow]
    options: ExplainParameters
    target: Target
    design: Design
    players: list[list[Unit]]
    replacement: Replacement
    encoded: Encoded
    fields: tuple[str, ...]
    texts: tuple[str, ...]

    def explanation(self, results: Sequence[Logits]) -> dict[str, Any]:
        """As JSON values, from each row's logits."""
        values = np.array([self.target.read(logits) for logits in results])
        attribution = self.design.estimate(values)
        return {
            "method": self.options.method,
            "output": self.options.output,
            "granularity": self.options.granularity,
            "target": {**self.target.description, "score": float(values[FULL])},
            "base_value": float(values[EMPTY]),
            "additivity_gap": float(values[FULL] - values[EMPTY] - attribution.scores.sum()),
            "exact": attribution.exact,
            "replacement": {"kind": self.replacement.kind, "token": self.replacement.token},
            "rows": len(self.rows),
            "units_hidden_together": max(map(len, self.players)),
            "truncated": self.encoded.truncated,
            "tokens": list(self._tokens(attribution.scores, attribution.errors)),
        }

    def _tokens(self, scores: Any, errors: Any) -> Any:
        """Units that were masked together share their score evenly."""
        for number, player in enumerate(self.players):
            for unit in player:
                token = {
                    "field": self.fields[unit.text],
                    "start": unit.start,
                    "end": unit.end,
                    "word": self.texts[unit.text][unit.start : unit.end],
                    "score": float(scores[number]) / len(player),
                }
                if errors is not None:
                    token["standard_error"] = float(errors[number]) / len(player)
                yield token


class Explained(Protocol):
    """What an explanation asks of a `Predictor`."""

    task: Task
    tokenizer: Tokenizer

    @property
    def pad_token_id(self) -> int: ...

    def check(self, inputs: Any) -> Any: ...

    def encode(self, items: Sequence[Any], options: ExplainParameters) -> list[Encoded]: ...

    def run(self, windows: Sequence[Any]) -> list[Logits]: ...


class Explainer:
    def __init__(self, predictor: Explained) -> None:
        if reason := unsupported_reason(predictor.task):
            raise InputError(reason)
        self._predictor = predictor

    @property
    def task(self) -> Task:
        return self._predictor.task

    def explain(self, inputs: Any, options: ExplainParameters) -> dict[str, Any]:
        """Of one input's answer; raises InputError."""
        predictor = self._predictor
        (encoded,) = predictor.encode([predictor.check(inputs)], options)
        plan = self.plan(encoded, predictor.run(encoded.windows), options)
        return plan.explanation(predictor.run(plan.rows))

    def cost(self, encoded: Encoded, options: ExplainParameters) -> int:
        """Tokens of all windows to run, if the longest window decides; raises InputError."""
        longest = max(encoded.windows, key=lambda window: len(window.ids))
        players = _players(self._units(encoded, longest, options), len(longest.ids), options)
        return encoded.tokens + _count_rows(len(players), len(longest.ids), options) * len(longest.ids)

    def plan(self, encoded: Encoded, results: Sequence[Logits], options: ExplainParameters) -> ExplanationPlan:
        """What to run next, given the input's results; raises InputError."""
        predictor = self._predictor
        target = target_of(predictor.task, encoded, results, options)
        window, replacement = encoded.windows[target.window], self._replacement(target, options)
        texts = self._texts(encoded)
        players = _players(self._units(encoded, window, options), len(window.ids), options)
        design = _design(len(players), len(window.ids), options)
        groups = [[row for unit in player for row in unit.rows] for player in players]
        rows = replacement.mask_windows(window, groups, design.shown)
        keys = KEYS if isinstance(predictor.task, QuestionAnswering) else PAIR
        fields = keys if len(texts) == 2 else ("inputs",)
        return ExplanationPlan(rows, options, target, design, players, replacement, encoded, fields, texts)

    def _texts(self, encoded: Encoded) -> tuple[str, ...]:
        segments = self.task.segments(encoded.item)
        return (segments,) if isinstance(segments, str) else segments

    def _units(self, encoded: Encoded, window: Encoding, options: ExplainParameters) -> list[Unit]:
        return units_of(self._texts(encoded), window, options.granularity)

    def _replacement(self, target: Target, options: ExplainParameters) -> Replacement:
        if target.in_place and options.replacement == "delete":
            raise InputError(
                "parameters.replacement: delete would move the very tokens whose logits are explained; choose another",
                field="parameters.replacement",
            )
        predictor = self._predictor
        found = select_replacement(predictor.tokenizer, predictor.pad_token_id, options.replacement)
        # What has no attention has no logit: an answer's own tokens must keep theirs.
        return replace(found, attended=True) if target.in_place else found


def _players(units: Sequence[Unit], tokens: int, options: ExplainParameters) -> list[list[Unit]]:
    """Blocks of units, as small as the limits allow."""
    if not units:
        raise InputError("inputs: the tokenizer finds nothing in this text that could be masked", field="inputs")
    most_rows = _most_rows(tokens)
    if options.method == "occlusion":
        return split_blocks(units, most_rows - 2)
    players = split_blocks(units, most_rows // 2)
    if options.samples and rows_of_orders(len(players), options.samples) > most_rows:
        raise InputTooLarge(
            f"parameters.samples: {options.samples} orders of {len(players)} units cost "
            f"{rows_of_orders(len(players), options.samples):,} rows; "
            f"at most {most_rows} of {tokens} tokens are accepted",
            field="parameters.samples",
        )
    return players


def _design(players: int, tokens: int, options: ExplainParameters) -> Design:
    if options.method == "occlusion":
        return occlusion(players)
    return shapley(players, _most_rows(tokens), options.samples, options.seed)


def _count_rows(players: int, tokens: int, options: ExplainParameters) -> int:
    """Of the design, or a few more."""
    if options.method == "occlusion":
        return players + 2
    return count_rows(players, _most_rows(tokens), options.samples)


def _most_rows(tokens: int) -> int:
    return max(8, min(MAX_ROWS, MAX_TOKENS // tokens))
