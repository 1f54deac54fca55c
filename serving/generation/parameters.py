"""What a caller may ask of a generating model, under transformers' names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from serving.errors import InputError


@dataclass(frozen=True)
class GenerationParameters:
    """How to choose tokens and when to end; raises InputError, naming the field, for what cannot be done.

    The meaning is that of transformers' ``GenerationConfig``, where the field is named alike.

    Attributes:
        max_new_tokens: an answer has no more tokens than this.
        min_new_tokens: the model cannot end its answer before.
        num_beams: answers followed at once; 1: greedy or sampled.
        do_sample: draw tokens at random, by their probability.
        temperature: logits are divided by it before a draw.
        top_k: draw among so many best tokens; 0: among all.
        top_p: draw among the fewest best tokens that hold this much probability together.
        repetition_penalty: the logits of tokens seen before are divided by it, or multiplied where negative.
        no_repeat_ngram_size: no run of so many tokens comes twice; 0: no such rule.
        length_penalty: a beam's score is its log-probability / length ** this.
        early_stopping: whether beam search ends once it has ``num_beams`` answers. If not, it goes on while a running
            beam may become better: as it stands (False), or were it as long as it may be ("never").
        num_return_sequences: answers wanted; sampled, or the best beams.
        seed: what makes a draw repeatable; None: a new one each time.
        stop: an answer ends before the first of these texts.
    """

    max_new_tokens: int = 64
    min_new_tokens: int = 0
    num_beams: int = 1
    do_sample: bool = False
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    length_penalty: float = 1.0
    early_stopping: bool | Literal["never"] = False
    num_return_sequences: int = 1
    seed: int | None = None
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what is out of range or does not go together."""
        for name in ("max_new_tokens", "num_beams", "num_return_sequences"):
            self._require(getattr(self, name) >= 1, name, "1 or more")
        for name in ("min_new_tokens", "top_k", "no_repeat_ngram_size"):
            self._require(getattr(self, name) >= 0, name, "0 or more")
        for name in ("temperature", "repetition_penalty"):
            self._require(getattr(self, name) > 0, name, "a number above 0")
        self._require(0 < self.top_p <= 1, "top_p", "a number above 0, at most 1")
        self._require(self.seed is None or 0 <= self.seed < 2**64, "seed", "a whole number from 0 to 2**64 - 1")
        self._require(all(self.stop), "stop", "texts of one character or more")
        self._require(self.early_stopping in (True, False, "never"), "early_stopping", 'true, false or "never"')
        self._require(not (self.do_sample and self.num_beams > 1), "num_beams", "1 where do_sample is true")
        many = "at most num_beams, or any number where do_sample is true"
        self._require(self.do_sample or self.num_return_sequences <= self.num_beams, "num_return_sequences", many)

    def _require(self, right: bool, name: str, accepted: str) -> None:
        if not right:
            raise InputError(f"{name} is {getattr(self, name)!r}; accepted: {accepted}", field=name)
