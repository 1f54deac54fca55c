"""Text generation: the continuation of a prompt, or a text for a text."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, TypedDict

from pydantic import Field

from serving.errors import InputError, quote
from serving.tasks.base import Datatype, Encoded, Logits, TaskParameters, TaskSettings, object_schema
from serving.tasks.chat import ChatFormat
from serving.tasks.inputs import TextTask
from serving.tasks.strict_model import FailFastList

MAX_NEW_TOKENS = 64
MOST_TOKENS = 65_536
"""Of one prompt's answers or beams together."""

MAX_STOP_CHARACTERS = 1000
Seed = Annotated[int, Field(ge=0, lt=2**64)]
StopText = Annotated[str, Field(min_length=1, max_length=MAX_STOP_CHARACTERS)]

Tokens = list[int]


class TokenRules(TaskSettings):
    """What the model's ``generation_config.json`` forbids or forces, whatever a request asks."""

    min_length: int = Field(default=0, ge=0, description="no end before so many tokens, a prompt's own included")
    bad_words_ids: list[Annotated[Tokens, Field(min_length=1)]] = Field(
        default=[], description="token sequences that are never generated"
    )
    suppress_tokens: Tokens = Field(default=[], description="tokens that are never generated")
    begin_suppress_tokens: Tokens = Field(default=[], description="tokens that no answer begins with")
    forced_bos_token_id: int | None = Field(default=None, description="the token after a decoder's start")
    forced_eos_token_id: Tokens = Field(default=[], description="tokens that the longest answer ends with")


class GenerationSettings(TokenRules):
    prefix: str = Field(default="", description="put before every input, such as T5's summarize:")
    eos_token_ids: list[int] = Field(default=[], description="tokens that end an answer")
    max_positions: int | None = Field(default=None, ge=1, description="longest text the model knows, in tokens")
    decoder_start_token_id: int | None = Field(default=None, description="what an encoder-decoder's answer begins with")
    max_new_tokens: int = Field(default=MAX_NEW_TOKENS, ge=1, description="tokens an answer has at most, unasked")
    min_new_tokens: int = Field(default=0, ge=0, description="tokens an answer has at least, unasked")
    repetition_penalty: float = Field(default=1.0, gt=0, description="unasked")
    no_repeat_ngram_size: int = Field(default=0, ge=0, description="unasked")
    chat: ChatFormat | None = Field(
        default=None,
        description="how a conversation becomes a prompt; null: the model has no chat template, or none"
        " that is fixed texts between contents",
    )


class GenerationParameters(TaskParameters):
    """As in Hugging Face's text-generation task and transformers' ``GenerationConfig``."""

    max_new_tokens: int | None = Field(default=None, ge=1, le=MOST_TOKENS, description="tokens an answer has at most")
    min_new_tokens: int = Field(default=0, ge=0, le=MOST_TOKENS)
    num_beams: int = Field(default=1, ge=1, le=16, description="answers followed at once")
    do_sample: bool = Field(default=False, description="draw tokens by their probability")
    temperature: float = Field(default=1.0, gt=0)
    top_k: int | None = Field(default=None, ge=0, description="draw among so many best tokens")
    top_p: float | None = Field(default=None, gt=0, le=1, description="draw among the best with so much probability")
    repetition_penalty: float | None = Field(default=None, ge=0.01, le=100)
    no_repeat_ngram_size: int = Field(default=0, ge=0, le=100)
    # float32 holds MOST_TOKENS ** 5 and its inverse.
    length_penalty: float = Field(
        default=1.0, ge=-5, le=5, description="above 0 prefers long beams, below 0 short ones"
    )
    early_stopping: bool | Literal["never"] = False
    num_return_sequences: int = Field(default=1, ge=1, le=16)
    seed: Seed | None = Field(default=None, description="makes a draw repeatable")
    stop: FailFastList[StopText] = Field(
        default=[], max_length=16, description="an answer ends before the first of these"
    )
    return_full_text: bool = Field(default=False, description="the prompt and its continuation")

    def require_consistent(self) -> None:
        """Raise InputError for contradictory values."""
        self._require(not (self.do_sample and self.num_beams > 1), "num_beams", "1 where do_sample is true")
        many = "at most num_beams, or any number where do_sample is true"
        self._require(self.do_sample or self.num_return_sequences <= self.num_beams, "num_return_sequences", many)
        most = MOST_TOKENS // self.rows
        together = f"at most {most:,}, so that {self.rows} answers have at most {MOST_TOKENS:,} tokens together"
        self._require((self.max_new_tokens or 0) <= most, "max_new_tokens", together)

    @property
    def rows(self) -> int:
        """Answers or beams that are followed at once."""
        return max(self.num_beams, self.num_return_sequences)

    def _require(self, valid: bool, name: str, accepted: str) -> None:
        if not valid:
            raise InputError(f"{name} is {quote(getattr(self, name))}; accepted: {accepted}", field=name)


class Continuation(TypedDict):
    generated_text: str


DEFAULT = GenerationParameters()
NO_RULES = TokenRules()
MODEL_DEFAULTS = ("max_new_tokens", "min_new_tokens", "repetition_penalty", "no_repeat_ngram_size")
"""Parameters whose default is the model's."""


class Generation(TextTask):
    output_tensors: ClassVar[Mapping[str, Datatype]] = {"generated_text": "BYTES"}
    settings_type = GenerationSettings
    parameters_type = GenerationParameters
    lone_answer_in_list = False
    settings: GenerationSettings

    @property
    def logits_per_window(self) -> int:
        """0: the graph has the vocabulary's size."""
        return 0

    def segments(self, item: str) -> str:
        return self.settings.prefix + item

    def resolve(self, parameters: GenerationParameters | None) -> GenerationParameters:
        """With this model's own settings for what was not asked; raises InputError."""
        resolved = parameters or DEFAULT
        resolved.require_consistent()
        asked = {name for name in resolved.model_fields_set if getattr(resolved, name) is not None}
        return resolved.model_copy(
            update={name: getattr(self.settings, name) for name in MODEL_DEFAULTS if name not in asked}
        )

    def decode(
        self, encoded: Encoded, logits: Sequence[list[Generated]], parameters: GenerationParameters | None = None
    ) -> list[Continuation]:
        """Best first, or as drawn; ``logits``: one window's `Generated`."""
        prompt = encoded.item if (parameters or DEFAULT).return_full_text else ""
        return [{"generated_text": prompt + each.text} for each in logits[0]]

    def decision(self, answer: list[Continuation]) -> Hashable:
        return tuple(each["generated_text"] for each in answer)

    def golden_logits(self, logits: Logits) -> Logits:
        """Each token's largest: a whole vocabulary's would fill the bundle."""
        largest: Logits = logits.max(axis=-1)
        return largest

    def answer_schema(self) -> dict[str, Any]:
        return {"type": "array", "items": object_schema({"generated_text": {"type": "string"}})}


class TextGeneration(Generation):
    """A causal model continues the prompt. A long prompt loses its beginning."""

    name = "text-generation"
    truncation_side = "left"


class Text2TextGeneration(Generation):
    """An encoder reads the input, a decoder writes the answer."""

    name = "text2text-generation"


FinishReason = Literal["eos_token", "length", "stop_sequence"]
"""Why an answer ends, as in text-generation-inference."""


@dataclass(frozen=True)
class Generated:
    """Attributes:
    token_ids: without the prompt, with the end token.
    text: without the stop text.
    score: sum of log-probabilities / length ** length_penalty, as transformers ranks beams.
    seed: given or chosen; None if nothing was drawn.
    """

    token_ids: list[int]
    text: str
    score: float
    finish_reason: FinishReason
    seed: int | None = None


@dataclass(frozen=True)
class Token:
    """Attributes:
    sequence: which answer; answers drawn together alternate.
    text: final now; an answer's pieces join to its text.
    finish_reason: with the last token.
    """

    sequence: int
    id: int
    text: str
    finish_reason: FinishReason | None
