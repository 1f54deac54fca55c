"""Runs the graphs of a generating model: reads a prompt, then gives one more token's logits at a time.

``export.graphs.generator`` tells what the graphs take and give. A session is shared by all requests; a ``Decoding``
is one request's own, and holds its key/value cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, cast

import numpy as np
import numpy.typing as npt

from serving.errors import BundleError, InputTooLarge
from serving.inference.session import create_session

CHUNK = 256
"""Prompt tokens in one run of the graph: attention's table of scores is this long a side, not as long as the prompt."""

Logits = npt.NDArray[np.float32]
Arrays = dict[str, npt.NDArray[np.generic]]


class Decoding(Protocol):
    """One prompt being continued, in one row or several.

    Attributes:
        prefix: the tokens before the first new one, as the decoder sees them.
        logits: those of the next token, shape [rows, vocabulary].
        room: how many new tokens the model has positions for; None where it has no limit.
    """

    prefix: list[int]
    logits: Logits
    room: int | None

    def select(self, rows: Sequence[int]) -> None:
        """Keep these rows, in this order; a row may be left out, or be there twice."""

    def step(self, tokens: Sequence[int]) -> None:
        """Append one token to each row and work out the logits of the next."""


class GenerationSession(Protocol):
    """What can begin to continue a prompt."""

    def begin(self, input_ids: Sequence[int]) -> Decoding:
        """Read the prompt; raises InputTooLarge when it leaves no room for a new token."""


class CausalSession:
    """A decoder-only model: the prompt and its continuation are one text."""

    def __init__(self, graph: bytes, *, threads: int = 1, max_positions: int | None = None) -> None:
        """Load ``model.onnx``.

        Args:
            graph: the file's bytes.
            threads: CPU threads the graph may use.
            max_positions: longest text the model knows, prompt and continuation together; None: no limit.

        Raises:
            BundleError: the graph cannot be loaded, or is not of this kind.
        """
        self.max_positions = max_positions
        self._graph = _CachedGraph(graph, "model.onnx", threads)
        _require(self._graph.names, {"input_ids", "attention_mask"}, "model.onnx")

    def begin(self, input_ids: Sequence[int]) -> Decoding:
        """Read the prompt, at least one token; raises InputTooLarge when it leaves no room for a new one."""
        room = None if self.max_positions is None else self.max_positions - len(input_ids)
        if room is not None and room < 1:
            raise InputTooLarge(
                f"inputs has {len(input_ids):,} tokens; the model has {self.max_positions:,} positions, "
                "of which one at least must be left for the answer",
                field="inputs",
            )
        return _CausalDecoding(self._graph, list(input_ids), room)

    def logits(self, input_ids: Sequence[int]) -> Logits:
        """The logits after each token of a given text, shape [tokens, vocabulary]."""
        facts = _causal_facts(np.asarray([input_ids], dtype=np.int64), 0, keep=0)
        logits, _ = self._graph.run(facts, self._graph.empty_cache())
        return cast("Logits", logits[0])


class Seq2SeqSession:
    """An encoder and a decoder: a source text, and an answer that begins with a token of its own."""

    def __init__(
        self,
        encoder: bytes,
        decoder: bytes,
        *,
        decoder_start_token_id: int,
        threads: int = 1,
        max_positions: int | None = None,
    ) -> None:
        """Load ``encoder.onnx`` and ``decoder.onnx``.

        Args:
            encoder: that file's bytes.
            decoder: that file's bytes.
            decoder_start_token_id: what the decoder's text begins with; for T5 the padding token.
            threads: CPU threads the graphs may use.
            max_positions: longest answer the decoder knows; None, as for T5: no limit.

        Raises:
            BundleError: a graph cannot be loaded, or is not of this kind.
        """
        self.start, self.max_positions = decoder_start_token_id, max_positions
        self._encoder = create_session(encoder, threads, "encoder.onnx")
        self._decoder = _CachedGraph(decoder, "decoder.onnx", threads)
        self._given = [node.name for node in self._encoder.get_outputs() if ".encoder." in node.name]
        sources = {name.replace("present", "past_key_values") for name in self._given}
        _require({node.name for node in self._encoder.get_inputs()}, {"input_ids", "attention_mask"}, "encoder.onnx")
        _require(self._decoder.names, {"input_ids", "encoder_attention_mask", *sources}, "decoder.onnx")

    def begin(self, input_ids: Sequence[int]) -> Decoding:
        """Read the source text, and the token that the answer begins with."""
        room = None if self.max_positions is None else self.max_positions - 1
        return _Seq2SeqDecoding(self._decoder, self._read(input_ids), self.start, room)

    def logits(self, input_ids: Sequence[int], decoder_input_ids: Sequence[int]) -> Logits:
        """The logits after each token of a given answer, which begins with the start token; [tokens, vocabulary]."""
        facts = {"input_ids": np.asarray([decoder_input_ids], dtype=np.int64), **self._read(input_ids)}
        logits, _ = self._decoder.run(facts, self._decoder.empty_cache())
        return cast("Logits", logits[0])

    def _read(self, input_ids: Sequence[int]) -> Arrays:
        tokens = np.asarray([input_ids], dtype=np.int64)
        mask = np.ones_like(tokens)
        values = self._encoder.run(self._given, {"input_ids": tokens, "attention_mask": mask})
        names = (name.replace("present", "past_key_values") for name in self._given)
        return {"encoder_attention_mask": mask, **dict(zip(names, values, strict=True))}


class _CachedGraph:
    """A graph with ``past_key_values.…`` inputs that it gives back, longer, as ``present.…``."""

    def __init__(self, data: bytes, name: str, threads: int) -> None:
        self._session = create_session(data, threads, name)
        inputs = {node.name: node for node in self._session.get_inputs()}
        self.names = set(inputs)
        pasts = [each for each in inputs if each.startswith("past_key_values") and ".encoder." not in each]
        self._shapes = {each: (inputs[each].shape[1], inputs[each].shape[3]) for each in pasts}
        self._outputs = ["logits", *(each.replace("past_key_values", "present") for each in pasts)]
        given = {node.name for node in self._session.get_outputs()}
        if not pasts or not given.issuperset(self._outputs):
            raise BundleError(f"{name} takes {sorted(inputs)} and gives {sorted(given)}: not a graph with a cache.")

    def empty_cache(self) -> Arrays:
        """One row that has seen nothing."""
        return {name: np.zeros((1, heads, 0, width), np.float32) for name, (heads, width) in self._shapes.items()}

    def run(self, facts: Arrays, cache: Arrays) -> tuple[Logits, Arrays]:
        """Logits [rows, tokens, vocabulary] and the longer cache; facts that the graph does not take are left out."""
        taken = {name: value for name, value in facts.items() if name in self.names}
        logits, *presents = self._session.run(self._outputs, {**taken, **cache})
        return logits, dict(zip(self._shapes, presents, strict=True))


class _CausalDecoding:
    logits: Logits

    def __init__(self, graph: _CachedGraph, prompt: list[int], room: int | None) -> None:
        self.prefix, self.room = prompt, room
        self._graph, self._cache, self._length = graph, graph.empty_cache(), 0
        for start in range(0, len(prompt), CHUNK):
            self._feed(np.asarray([prompt[start : start + CHUNK]], dtype=np.int64))

    def select(self, rows: Sequence[int]) -> None:
        self.logits = self.logits[rows]
        self._cache = {name: value[rows] for name, value in self._cache.items()}

    def step(self, tokens: Sequence[int]) -> None:
        self._feed(np.asarray(tokens, dtype=np.int64)[:, None])

    def _feed(self, tokens: npt.NDArray[np.int64]) -> None:
        logits, self._cache = self._graph.run(_causal_facts(tokens, self._length, keep=1), self._cache)
        self.logits = logits[:, -1]
        self._length += tokens.shape[1]


class _Seq2SeqDecoding:
    logits: Logits

    def __init__(self, graph: _CachedGraph, source: Arrays, start: int, room: int | None) -> None:
        self.prefix, self.room = [start], room
        self._graph, self._source, self._cache = graph, source, graph.empty_cache()
        self.step([start])

    def select(self, rows: Sequence[int]) -> None:
        self.logits = self.logits[rows]  # the source stays one row, which the graph reads for each of them
        self._cache = {name: value[rows] for name, value in self._cache.items()}

    def step(self, tokens: Sequence[int]) -> None:
        column = np.asarray(tokens, dtype=np.int64)[:, None]
        logits, self._cache = self._graph.run({"input_ids": column, **self._source}, self._cache)
        self.logits = logits[:, -1]


def _causal_facts(tokens: npt.NDArray[np.int64], past: int, keep: int) -> Arrays:
    rows, new = tokens.shape
    return {
        "input_ids": tokens,
        "attention_mask": np.ones((rows, past + new), dtype=np.int64),
        "position_ids": np.tile(np.arange(past, past + new, dtype=np.int64), (rows, 1)),
        "num_logits_to_keep": np.asarray(keep, dtype=np.int64),
    }


def _require(found: set[str], wanted: set[str], name: str) -> None:
    if lacking := wanted - found:
        raise BundleError(f"{name} takes no {', '.join(sorted(lacking))}: not a graph of this kind.")
