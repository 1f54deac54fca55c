"""Sessions of generating models: read a prompt, then compute the next token's logits with a key/value cache.

`export.graphs.generator` defines the graphs. Requests share a session; each has its own ``Decoding`` with the cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, cast

import numpy as np
import numpy.typing as npt

from serving.errors import BundleError, InputTooLarge
from serving.inference.session import create_session

CHUNK = 256
"""Prompt tokens in one graph call; bounds the memory of the attention scores."""

Logits = npt.NDArray[np.float32]
Arrays = dict[str, npt.NDArray[np.generic]]


class Decoding(Protocol):
    """One prompt in progress, in one row or several.

    Attributes:
        prefix: the decoder's tokens before the first new one.
        logits: of the next token, [rows, vocabulary].
        room: new tokens that the model's positions allow; None if unlimited.
    """

    prefix: list[int]
    logits: Logits
    room: int | None

    def select(self, rows: Sequence[int]) -> None:
        """Keep these rows in this order; rows may repeat."""

    def step(self, tokens: Sequence[int]) -> None:
        """Append a token to each row and compute the next logits."""


class GenerationSession(Protocol):
    """A loaded model."""

    def begin(self, input_ids: Sequence[int]) -> Decoding:
        """Read a prompt; raises InputTooLarge if it leaves no room for a new token."""


class CausalSession:
    """A decoder-only model."""

    def __init__(self, graph: bytes, *, threads: int = 1, max_positions: int | None = None) -> None:
        """Load ``model.onnx``; raises BundleError for another kind of graph.

        Args:
            graph: the file's bytes.
            threads: CPU threads.
            max_positions: most tokens of prompt and answer together; None: unlimited.
        """
        self.max_positions = max_positions
        self._graph = _CachedGraph(graph, "model.onnx", threads)
        _require_inputs(self._graph.names, {"input_ids", "attention_mask"}, "model.onnx")

    def begin(self, input_ids: Sequence[int]) -> Decoding:
        """Read a prompt of one token or more; raises InputTooLarge."""
        room = None if self.max_positions is None else self.max_positions - len(input_ids)
        if room is not None and room < 1:
            raise InputTooLarge(
                f"inputs has {len(input_ids):,} tokens; the model has {self.max_positions:,} positions, "
                "of which one at least must be left for the answer",
                field="inputs",
            )
        return _CausalDecoding(self._graph, list(input_ids), room)

    def logits(self, input_ids: Sequence[int]) -> Logits:
        """[tokens, vocabulary] after each token of a given text."""
        feeds = _causal_feeds(np.asarray([input_ids], dtype=np.int64), 0, keep=0)
        logits, _ = self._graph.run(feeds, self._graph.empty_cache())
        return cast("Logits", logits[0])


class Seq2SeqSession:
    """An encoder and a decoder."""

    def __init__(
        self,
        encoder: bytes,
        decoder: bytes,
        *,
        decoder_start_token_id: int,
        threads: int = 1,
        max_positions: int | None = None,
    ) -> None:
        """Load ``encoder.onnx`` and ``decoder.onnx``; raises BundleError for other kinds of graph.

        Args:
            encoder: that file's bytes.
            decoder: that file's bytes.
            decoder_start_token_id: the decoder's first token; T5: the padding token.
            threads: CPU threads.
            max_positions: most tokens of an answer; None, as for T5: unlimited.
        """
        self.start, self.max_positions = decoder_start_token_id, max_positions
        self._encoder = create_session(encoder, threads, "encoder.onnx")
        self._decoder = _CachedGraph(decoder, "decoder.onnx", threads)
        self._outputs = [node.name for node in self._encoder.get_outputs() if ".encoder." in node.name]
        self._sources = [name.replace("present", "past_key_values") for name in self._outputs]
        inputs = {node.name for node in self._encoder.get_inputs()}
        _require_inputs(inputs, {"input_ids", "attention_mask"}, "encoder.onnx")
        _require_inputs(self._decoder.names, {"input_ids", "encoder_attention_mask", *self._sources}, "decoder.onnx")

    def begin(self, input_ids: Sequence[int]) -> Decoding:
        """Read the source text and the answer's start token."""
        room = None if self.max_positions is None else self.max_positions - 1
        return _Seq2SeqDecoding(self._decoder, self._encode(input_ids), self.start, room)

    def logits(self, input_ids: Sequence[int], decoder_input_ids: Sequence[int]) -> Logits:
        """[tokens, vocabulary] after each token of a given answer, which begins with the start token."""
        feeds = {"input_ids": np.asarray([decoder_input_ids], dtype=np.int64), **self._encode(input_ids)}
        logits, _ = self._decoder.run(feeds, self._decoder.empty_cache())
        return cast("Logits", logits[0])

    def _encode(self, input_ids: Sequence[int]) -> Arrays:
        tokens = np.asarray([input_ids], dtype=np.int64)
        mask = np.ones_like(tokens)
        values = self._encoder.run(self._outputs, {"input_ids": tokens, "attention_mask": mask})
        return {"encoder_attention_mask": mask, **dict(zip(self._sources, values, strict=True))}


class _CachedGraph:
    """A graph with inputs ``past_key_values.…`` and the extended outputs ``present.…``."""

    def __init__(self, data: bytes, name: str, threads: int) -> None:
        self._session = create_session(data, threads, name)
        inputs = {node.name: node for node in self._session.get_inputs()}
        self.names = set(inputs)
        pasts = [each for each in inputs if each.startswith("past_key_values") and ".encoder." not in each]
        self._shapes = {each: (inputs[each].shape[1], inputs[each].shape[3]) for each in pasts}
        self._outputs = ["logits", *(each.replace("past_key_values", "present") for each in pasts)]
        outputs = {node.name for node in self._session.get_outputs()}
        if not pasts or not outputs.issuperset(self._outputs):
            raise BundleError(f"{name} takes {sorted(inputs)} and gives {sorted(outputs)}: not a graph with a cache.")

    def empty_cache(self) -> Arrays:
        """For one row."""
        return {name: np.zeros((1, heads, 0, width), np.float32) for name, (heads, width) in self._shapes.items()}

    def run(self, feeds: Arrays, cache: Arrays) -> tuple[Logits, Arrays]:
        """Logits [rows, tokens, vocabulary] and the extended cache; feeds that the graph lacks are left out."""
        known = {name: value for name, value in feeds.items() if name in self.names}
        logits, *presents = self._session.run(self._outputs, {**known, **cache})
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
        logits, self._cache = self._graph.run(_causal_feeds(tokens, self._length, keep=1), self._cache)
        self.logits = logits[:, -1]
        self._length += tokens.shape[1]


class _Seq2SeqDecoding:
    logits: Logits

    def __init__(self, graph: _CachedGraph, source: Arrays, start: int, room: int | None) -> None:
        self.prefix, self.room = [start], room
        self._graph, self._source, self._cache = graph, source, graph.empty_cache()
        self.step([start])

    def select(self, rows: Sequence[int]) -> None:
        self.logits = self.logits[rows]  # the source stays one row, which the graph broadcasts
        self._cache = {name: value[rows] for name, value in self._cache.items()}

    def step(self, tokens: Sequence[int]) -> None:
        column = np.asarray(tokens, dtype=np.int64)[:, None]
        logits, self._cache = self._graph.run({"input_ids": column, **self._source}, self._cache)
        self.logits = logits[:, -1]


def _causal_feeds(tokens: npt.NDArray[np.int64], past: int, keep: int) -> Arrays:
    rows, new = tokens.shape
    return {
        "input_ids": tokens,
        "attention_mask": np.ones((rows, past + new), dtype=np.int64),
        "position_ids": np.tile(np.arange(past, past + new, dtype=np.int64), (rows, 1)),
        "num_logits_to_keep": np.asarray(keep, dtype=np.int64),
    }


def _require_inputs(found: set[str], required: set[str], name: str) -> None:
    if missing := required - found:
        raise BundleError(f"{name} takes no {', '.join(sorted(missing))}: not a graph of this kind.")
