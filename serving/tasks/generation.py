"""Text generation: a prompt in, its continuation out; and text to text, where an encoder reads the input first."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, TypedDict

from pydantic import Field
from tokenizers import Tokenizer

from serving.errors import InputError
from serving.generation.parameters import GenerationParameters
from serving.generation.plan import Generated
from serving.given import Listed
from serving.tasks import base
from serving.tasks.base import Datatype, Encoded, Logits, Task, object_schema
from serving.tasks.texts import check_text, text_schema

Seed = Annotated[int, Field(ge=0, lt=2**64)]


class Settings(base.Settings):
    """What generating depends on besides the weights."""

    prefix: str = Field(default="", description="put before every input, such as T5's summarize:")
    eos_token_ids: list[int] = Field(default=[], description="tokens that end an answer")
    max_positions: int | None = Field(default=None, ge=1, description="longest text the model knows, in tokens")
    decoder_start_token_id: int | None = Field(default=None, description="what an encoder-decoder's answer begins with")
    max_new_tokens: int = Field(default=64, ge=1, description="tokens an answer has at most, unasked")


class Parameters(base.Parameters):
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
    stop: Listed[str] = Field(default=[], max_length=16, description="an answer ends before the first of these")
    return_full_text: bool = Field(default=False, description="the prompt and its continuation")

    def plan(self, max_new_tokens: int) -> GenerationParameters:
        """The engine's parameters; raises InputError for what does not go together."""
        given = self.model_dump(exclude={"return_full_text", "truncate"}, exclude_none=True)
        return GenerationParameters(**{"max_new_tokens": max_new_tokens, **given, "stop": tuple(self.stop)})


class Continuation(TypedDict):
    """One answer."""

    generated_text: str


DEFAULT = Parameters()


class Generation(Task):
    """What both tasks share: a text in, texts out."""

    columns: ClassVar[Mapping[str, Datatype]] = {"generated_text": "BYTES"}
    settings_type: ClassVar[type[base.Settings]] = Settings
    parameters_type: ClassVar[type[base.Parameters]] = Parameters
    lone_answer_in_list = False
    settings: Settings

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

    def plan(self, parameters: Parameters | None) -> GenerationParameters:
        """The engine's parameters; raises InputError for what does not go together."""
        return (parameters or DEFAULT).plan(self.settings.max_new_tokens)

    def decode(
        self, encoded: Encoded, logits: Sequence[list[Generated]], parameters: Parameters | None = None
    ) -> list[Continuation]:
        """The answers, best or first drawn first; ``logits``: what was generated from the one window."""
        before = encoded.item if (parameters or DEFAULT).return_full_text else ""
        return [{"generated_text": before + each.text} for each in logits[0]]

    def decision(self, answer: list[Continuation]) -> Hashable:
        """The texts."""
        return tuple(each["generated_text"] for each in answer)

    def recorded(self, logits: Logits) -> Logits:
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
