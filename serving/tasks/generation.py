"""Text generation: a prompt in, its continuation out; and text to text, where an encoder reads the input first."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, TypedDict

from pydantic import Field
from tokenizers import Tokenizer

from serving.errors import InputError
from serving.tasks import base
from serving.tasks.base import Datatype, Encoded, Logits, Task, object_schema
from serving.tasks.inputs import check_text, text_schema
from serving.tasks.strict_model import FailFastList

Seed = Annotated[int, Field(ge=0, lt=2**64)]


class GenerationSettings(base.TaskSettings):
    """What generating depends on besides the weights."""

    prefix: str = Field(default="", description="put before every input, such as T5's summarize:")
    eos_token_ids: list[int] = Field(default=[], description="tokens that end an answer")
    max_positions: int | None = Field(default=None, ge=1, description="longest text the model knows, in tokens")
    decoder_start_token_id: int | None = Field(default=None, description="what an encoder-decoder's answer begins with")
    max_new_tokens: int = Field(default=64, ge=1, description="tokens an answer has at most, unasked")


class GenerationParameters(base.TaskParameters):
    """What a caller may ask for, as Hugging Face's text-generation task and transformers name it."""

    max_new_tokens: int | None = Field(default=None, ge=1, le=65_536, description="tokens an answer has at most")
    min_new_tokens: int = Field(default=0, ge=0)
    num_beams: int = Field(default=1, ge=1, le=16, description="answers followed at once")
    do_sample: bool = Field(default=False, description="draw tokens by their probability")
    temperature: float = Field(default=1.0, gt=0)
    top_k: int | None = Field(default=None, ge=0, description="draw among so many best tokens")
    top_p: float | None = Field(default=None, gt=0, le=1, description="draw among the best with so much probability")
    repetition_penalty: float | None = Field(default=None, gt=0)
    no_repeat_ngram_size: int = Field(default=0, ge=0)
    length_penalty: float = Field(default=1.0)
    early_stopping: bool | Literal["never"] = False
    num_return_sequences: int = Field(default=1, ge=1, le=16)
    seed: Seed | None = Field(default=None, description="makes a draw repeatable")
    stop: FailFastList[str] = Field(default=[], max_length=16, description="an answer ends before the first of these")
    return_full_text: bool = Field(default=False, description="the prompt and its continuation")

    def plan(self, max_new_tokens: int) -> DecodingParameters:
        """The engine's parameters; raises InputError for what does not go together."""
        given = self.model_dump(exclude={"return_full_text", "truncate"}, exclude_none=True)
        return DecodingParameters(**{"max_new_tokens": max_new_tokens, **given, "stop": tuple(self.stop)})


class Continuation(TypedDict):
    """One answer."""

    generated_text: str


DEFAULT = GenerationParameters()


class Generation(Task):
    """What both tasks share: a text in, texts out."""

    output_tensors: ClassVar[Mapping[str, Datatype]] = {"generated_text": "BYTES"}
    settings_type: ClassVar[type[base.TaskSettings]] = GenerationSettings
    parameters_type: ClassVar[type[base.TaskParameters]] = GenerationParameters
    lone_answer_in_list = False
    settings: GenerationSettings

    @property
    def logits_per_window(self) -> int:
        """There are none but the vocabulary's, and the graph tells that."""
        return 0

    def check(self, inputs: Any, field: str = "inputs") -> str:
        """A text; raises InputError."""
        return check_text(inputs, field, self.limits)

    def segments(self, item: str) -> str:
        """The text behind the prefix."""
        return self.settings.prefix + item

    def check_tokens(self, tokenizer: Tokenizer, item: str, field: str = "inputs") -> None:
        """A prompt has one token at least; else InputError."""
        if not tokenizer.encode(self.segments(item)).ids:
            raise InputError(f"{field} has no tokens; a prompt needs one at least", field=field)

    def plan(self, parameters: GenerationParameters | None) -> DecodingParameters:
        """The engine's parameters; raises InputError for what does not go together."""
        return (parameters or DEFAULT).plan(self.settings.max_new_tokens)

    def decode(
        self, encoded: Encoded, logits: Sequence[list[Generated]], parameters: GenerationParameters | None = None
    ) -> list[Continuation]:
        """The answers, best or first drawn first; ``logits``: what was generated from the one window."""
        before = encoded.item if (parameters or DEFAULT).return_full_text else ""
        return [{"generated_text": before + each.text} for each in logits[0]]

    def decision(self, answer: list[Continuation]) -> Hashable:
        """The texts."""
        return tuple(each["generated_text"] for each in answer)

    def golden_logits(self, logits: Logits) -> Logits:
        """Of each token's logits the largest: a whole vocabulary's would fill the bundle."""
        largest: Logits = logits.max(axis=-1)
        return largest

    def input_schema(self) -> dict[str, Any]:
        """A text."""
        return text_schema(self.limits)

    def answer_schema(self) -> dict[str, Any]:
        """A list of answers."""
        return {"type": "array", "items": object_schema({"generated_text": {"type": "string"}})}


class TextGeneration(Generation):
    """A causal model goes on with the prompt. Of a prompt that is too long the end is kept."""

    name = "text-generation"
    truncation_side = "left"


class Text2TextGeneration(Generation):
    """An encoder reads the input, a decoder writes the answer."""

    name = "text2text-generation"


@dataclass(frozen=True)
class DecodingParameters:
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


FinishReason = Literal["eos_token", "length", "stop_sequence", "cancelled"]
"""Why an answer ends; the first three as text-generation-inference names them."""


@dataclass(frozen=True)
class Generated:
    """One answer.

    Attributes:
        token_ids: its tokens alone, without the prompt; an end-of-sequence token is the last of them.
        text: its text, without the stop text; empty where no detokenizer was given.
        score: the sum of its tokens' log-probabilities / length ** length_penalty, as transformers ranks beams.
        finish_reason: why it ends.
        seed: what it was drawn with, given or not; None where nothing was drawn.
    """

    token_ids: list[int]
    text: str
    score: float
    finish_reason: FinishReason
    seed: int | None = None


@dataclass(frozen=True)
class Token:
    """One token of an answer as it comes.

    Attributes:
        sequence: which answer, from 0; answers drawn together come by turns.
        id: the token.
        text: what can be shown now; the texts of an answer's tokens, joined, are its text. May be empty.
        finish_reason: why the answer ends, with its last token; None before.
    """

    sequence: int
    id: int
    text: str
    finish_reason: FinishReason | None
