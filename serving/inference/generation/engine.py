"""Generation runs one prompt after another, each cancellable and streamed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tokenizers import Encoding, Tokenizer

from serving.batching.batch_shape import BatchShape
from serving.bundle.bundle import Bundle
from serving.errors import BundleError
from serving.inference.generation.detokenizer import Detokenizer
from serving.inference.generation.generate import generate
from serving.inference.generation.kv_cache import CausalSession, Seq2SeqSession
from serving.tasks.base import Logits
from serving.tasks.generation import Generated, Generation, GenerationParameters, Token


@dataclass
class Prompt:
    """The engine's thread calls ``on_token`` and polls ``should_stop``."""

    ids: list[int]
    parameters: GenerationParameters
    on_token: Callable[[Token], None] = field(default=lambda token: None)
    should_stop: Callable[[], bool] = field(default=lambda: False)


class GenerationEngine:
    """A causal graph, or an encoder and a decoder."""

    def __init__(self, bundle: Bundle, task: Generation, tokenizer: Tokenizer, threads: int) -> None:
        self.shape = BatchShape(rows=1, predictable=False)  # no answer waits for the end of another
        self._task = task
        self._detokenizer = Detokenizer(tokenizer)
        self._session = _load_session(bundle, task, threads)

    def window(self, encoding: Encoding, parameters: Any) -> Prompt:
        return Prompt(encoding.ids, self._task.resolve(parameters))

    def run(self, windows: Sequence[Prompt]) -> list[list[Generated]]:
        """Raises InputTooLarge for a prompt that leaves no room."""
        return [self._generate(prompt) for prompt in windows]

    def run_batch(self, windows: Sequence[Prompt], length: int = 0) -> list[list[Generated]]:
        """As `run`, without batching or padding."""
        return self.run(windows)

    def logits(self, windows: Sequence[Prompt], results: Sequence[list[Generated]]) -> list[Logits]:
        """[tokens, vocabulary] of each first answer."""
        pairs = zip(windows, results, strict=True)
        return [self._answer_logits(prompt.ids, answers[0].token_ids) for prompt, answers in pairs]

    def _generate(self, prompt: Prompt) -> list[Generated]:
        return generate(
            self._session,
            prompt.ids,
            prompt.parameters,
            eos_token_ids=self._task.settings.eos_token_ids,
            rules=self._task.settings,
            detokenizer=self._detokenizer,
            on_token=prompt.on_token,
            should_stop=prompt.should_stop,
        )

    def _answer_logits(self, prompt: list[int], answer: list[int]) -> Logits:
        if isinstance(self._session, Seq2SeqSession):
            return self._session.logits(prompt, [self._session.start, *answer[:-1]])
        return self._session.logits([*prompt, *answer[:-1]])[len(prompt) - 1 :]


def _load_session(bundle: Bundle, task: Generation, threads: int) -> CausalSession | Seq2SeqSession:
    graph, settings = bundle.manifest.graph, task.settings
    if graph.decoder is None:
        return CausalSession(
            bundle.read_graph(graph.file),
            threads=threads,
            max_positions=settings.max_positions,
            row_independent=graph.row_independent,
        )
    if settings.decoder_start_token_id is None:
        raise BundleError("manifest.json: settings.decoder_start_token_id is missing. Export the bundle again.")
    return Seq2SeqSession(
        bundle.read_graph(graph.file),
        bundle.read_graph(graph.decoder),
        decoder_start_token_id=settings.decoder_start_token_id,
        threads=threads,
        max_positions=settings.max_positions,
        row_independent=graph.row_independent,
    )
