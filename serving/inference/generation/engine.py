"""Generation: prompts run one after another, or a slice of time each, so that several share the engine."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tokenizers import Encoding, Tokenizer

from serving.batching.batch_shape import BatchShape
from serving.batching.turns import UNFINISHED, Unfinished
from serving.bundle.bundle import Bundle
from serving.errors import BundleError
from serving.inference.generation.detokenizer import Detokenizer
from serving.inference.generation.generate import Steps, generate, new_tokens, run
from serving.inference.generation.kv_cache import CausalSession, Seq2SeqSession
from serving.tasks.base import Logits
from serving.tasks.generation import Generated, Generation, GenerationParameters, Token

SLICE = 0.002
"""Seconds, or one call of the graph if it takes longer: small models spend little of it on changing turns."""


@dataclass
class Prompt:
    """``on_token`` is called on the engine's thread; ``cache_bytes``: of the longest answers."""

    ids: list[int]
    parameters: GenerationParameters
    cache_bytes: int = 0
    on_token: Callable[[Token], None] = field(default=lambda token: None)
    steps: Steps | None = None

    def leave(self) -> None:
        """It is not run again: free its cache, now or after the running step."""
        self.steps = None


class GenerationEngine:
    """A causal graph, or an encoder and a decoder."""

    shape = BatchShape(rows=1)

    def __init__(self, bundle: Bundle, task: Generation, tokenizer: Tokenizer, threads: int) -> None:
        self._task = task
        self._detokenizer = Detokenizer(tokenizer)
        self._session = _load_session(bundle, task, threads)

    def window(self, encoding: Encoding, parameters: Any) -> Prompt:
        """Raises InputTooLarge for a prompt that leaves no room."""
        resolved, prompt = self._task.resolve(parameters), len(encoding.ids)
        new = new_tokens(self._session, prompt, resolved)
        return Prompt(encoding.ids, resolved, self._session.cache_bytes(prompt, new, resolved.rows))

    def run(self, windows: Sequence[Prompt]) -> list[list[Generated]]:
        return [run(self._generate(prompt)) for prompt in windows]

    def run_batch(self, windows: Sequence[Prompt], length: int = 0) -> list[list[Generated]]:
        """As `run`, without batching or padding."""
        return self.run(windows)

    def run_slice(self, windows: Sequence[Prompt]) -> list[list[Generated] | Unfinished]:
        """As `run`, but no longer than SLICE at a time: an unfinished prompt is to be run again."""
        return [self._run_slice(prompt) for prompt in windows]

    def interrupt(self) -> None:
        """Make the calls under way fail."""
        self._session.interrupt()

    def logits(self, windows: Sequence[Prompt], results: Sequence[list[Generated]]) -> list[Logits]:
        """[tokens, vocabulary] of each first answer."""
        pairs = zip(windows, results, strict=True)
        return [self._answer_logits(prompt.ids, answers[0].token_ids) for prompt, answers in pairs]

    def _run_slice(self, prompt: Prompt) -> list[Generated] | Unfinished:
        prompt.steps = steps = prompt.steps or self._generate(prompt)
        end = time.perf_counter() + SLICE
        try:
            while True:
                next(steps)
                if time.perf_counter() >= end:
                    return UNFINISHED
        except StopIteration as finished:
            answers: list[Generated] = finished.value
            return answers

    def _generate(self, prompt: Prompt) -> Steps:
        return generate(
            self._session,
            prompt.ids,
            prompt.parameters,
            eos_token_ids=self._task.settings.eos_token_ids,
            rules=self._task.settings,
            detokenizer=self._detokenizer,
            on_token=prompt.on_token,
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
