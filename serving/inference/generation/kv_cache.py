"""Sessions of generating models, with a key/value cache. `export.graphs.generator` defines the graphs.

Requests share a session; each has its own ``Decoding``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import cast

import numpy as np
import numpy.typing as npt

from serving.bundle.bundle import GraphFile
from serving.errors import BundleError, InputTooLarge
from serving.inference.session import create_session

CHUNK = 256
"""Prompt tokens in one graph call; bounds the memory of the attention scores."""

FLOAT_BYTES = 4

Logits = npt.NDArray[np.float32]
Arrays = dict[str, npt.NDArray[np.generic]]


class CausalSession:
    def __init__(
        self, graph: GraphFile, *, threads: int = 1, max_positions: int | None = None, row_independent: bool = True
    ) -> None:
        """Load ``model.onnx``; raises BundleError. ``max_positions`` limits prompt and answer together, if given."""
        self.max_positions = max_positions
        self._graph = _CachedGraph(graph, threads, row_independent)
        _require_inputs(self._graph.names, {"input_ids", "attention_mask"}, graph.name)

    def room(self, prompt: int) -> int | None:
        """New tokens that a prompt of so many leaves room for, None for any number; raises InputTooLarge."""
        room = None if self.max_positions is None else self.max_positions - prompt
        if room is not None and room < 1:
            raise InputTooLarge(
                f"inputs has {prompt:,} tokens; the model has {self.max_positions:,} positions, "
                "of which one at least must be left for the answer",
                field="inputs",
            )
        return room

    def cache_bytes(self, prompt: int, new: int, rows: int) -> int:
        """Of ``rows`` answers of ``new`` tokens."""
        return self._graph.token_bytes * rows * (prompt + new)

    def begin(self, input_ids: Sequence[int]) -> Decoding:
        """The prompt is not read yet."""
        return _CausalDecoding(self._graph, list(input_ids))

    def interrupt(self) -> None:
        self._graph.interrupt()

    def logits(self, input_ids: Sequence[int]) -> Logits:
        """[tokens, vocabulary] after each token of a text."""
        feeds = _causal_feeds(np.asarray([input_ids], dtype=np.int64), 0, keep=0)
        logits, _ = self._graph.run(feeds, self._graph.empty_cache())
        return cast("Logits", logits[0])


class Seq2SeqSession:
    def __init__(
        self,
        encoder: GraphFile,
        decoder: GraphFile,
        *,
        decoder_start_token_id: int,
        threads: int = 1,
        max_positions: int | None = None,
        row_independent: bool = True,
    ) -> None:
        """Load both graphs; raises BundleError. ``max_positions`` limits an answer, if given."""
        self.start, self.max_positions = decoder_start_token_id, max_positions
        self._encoder = create_session(encoder, threads)
        self._decoder = _CachedGraph(decoder, threads, row_independent)
        self._outputs = [node.name for node in self._encoder.get_outputs() if ".encoder." in node.name]
        self._sources = [name.replace("present", "past_key_values") for name in self._outputs]
        inputs = {node.name for node in self._encoder.get_inputs()}
        _require_inputs(inputs, {"input_ids", "attention_mask"}, encoder.name)
        _require_inputs(self._decoder.names, {"input_ids", "encoder_attention_mask", *self._sources}, decoder.name)

    def room(self, _: int) -> int | None:
        """New tokens of any prompt's answer; None for any number."""
        return None if self.max_positions is None else self.max_positions - 1

    def cache_bytes(self, prompt: int, new: int, rows: int) -> int:
        """Of ``rows`` answers of ``new`` tokens, which share their source."""
        return self._decoder.token_bytes * rows * (1 + new) + self._decoder.source_bytes * prompt

    def begin(self, input_ids: Sequence[int]) -> Decoding:
        """The prompt is not read yet."""
        return _Seq2SeqDecoding(self._decoder, lambda: self._encode(input_ids), self.start)

    def interrupt(self) -> None:
        self._encoder.interrupt()
        self._decoder.interrupt()

    def logits(self, input_ids: Sequence[int], decoder_input_ids: Sequence[int]) -> Logits:
        """[tokens, vocabulary] after each token of an answer, which begins with the start token."""
        feeds = {"input_ids": np.asarray([decoder_input_ids], dtype=np.int64), **self._encode(input_ids)}
        logits, _ = self._decoder.run(feeds, self._decoder.empty_cache())
        return cast("Logits", logits[0])

    def _encode(self, input_ids: Sequence[int]) -> Arrays:
        tokens = np.asarray([input_ids], dtype=np.int64)
        mask = np.ones_like(tokens)
        values = self._encoder.run(self._outputs, {"input_ids": tokens, "attention_mask": mask})
        return {"encoder_attention_mask": mask, **dict(zip(self._sources, values, strict=True))}


GenerationSession = CausalSession | Seq2SeqSession


class _CachedGraph:
    """Has inputs ``past_key_values.…`` and extended outputs ``present.…``.

    ``token_bytes`` are a token's in a row of the cache, ``source_bytes`` a source token's. Unless the graph is
    row-independent, each row runs alone: no answer may depend on how many are drawn or searched together.
    """

    def __init__(self, graph: GraphFile, threads: int, row_independent: bool) -> None:
        self._row_independent = row_independent
        self._session = create_session(graph, threads)
        inputs = {node.name: node for node in self._session.get_inputs()}
        self.names = set(inputs)
        shapes = {
            name: (node.shape[1], node.shape[3]) for name, node in inputs.items() if name.startswith("past_key_values")
        }
        self._shapes = {name: shape for name, shape in shapes.items() if ".encoder." not in name}
        pasts = list(self._shapes)
        self.token_bytes = _token_bytes(self._shapes)
        self.source_bytes = _token_bytes(shapes) - self.token_bytes
        self._outputs = ["logits", *(each.replace("past_key_values", "present") for each in pasts)]
        outputs = {node.name for node in self._session.get_outputs()}
        if not pasts or not outputs.issuperset(self._outputs):
            found = f"{graph.name} takes {sorted(inputs)} and gives {sorted(outputs)}"
            raise BundleError(f"{found}: not a graph with a cache.")

    def interrupt(self) -> None:
        self._session.interrupt()

    def empty_cache(self) -> Arrays:
        return {name: np.zeros((1, heads, 0, width), np.float32) for name, (heads, width) in self._shapes.items()}

    def run(self, feeds: Arrays, cache: Arrays) -> tuple[Logits, Arrays]:
        """Logits [rows, tokens, vocabulary] and the extended cache; unknown feeds are ignored."""
        values = {name: value for name, value in feeds.items() if name in self.names} | cache
        rows = 1 if self._row_independent else len(feeds["input_ids"])
        results = [self._session.run(self._outputs, _take_row(values, row, rows)) for row in range(rows)]
        logits, *presents = results[0] if rows == 1 else map(np.concatenate, zip(*results, strict=True))
        return logits, dict(zip(self._shapes, presents, strict=True))


def _token_bytes(shapes: Mapping[str, tuple[int, int]]) -> int:
    return FLOAT_BYTES * sum(heads * width for heads, width in shapes.values())


def _take_row(values: Arrays, row: int, rows: int) -> Arrays:
    """What all rows share has one row, or none."""
    if rows == 1:
        return values
    return {name: value[row : row + 1] if value.shape[:1] == (rows,) else value for name, value in values.items()}


class Decoding(ABC):
    """One prompt in progress, in one row or several.

    Attributes:
        prefix: the decoder's tokens before the first new one.
        logits: of the next token, [rows, vocabulary].
    """

    logits: Logits

    def __init__(self, graph: _CachedGraph, prefix: list[int]) -> None:
        self.prefix = prefix
        self._graph, self._cache, self._length = graph, graph.empty_cache(), 0

    @abstractmethod
    def read(self) -> Iterator[None]:
        """Read the prompt, before all else; yields between two calls of a graph."""

    def select(self, rows: Sequence[int]) -> None:
        """Keep these rows in this order; rows may repeat."""
        self.logits = self.logits[rows]
        self._cache = {name: value[rows] for name, value in self._cache.items()}

    def step(self, tokens: Sequence[int]) -> None:
        """Append a token to each row and compute the next logits."""
        self._feed(np.asarray(tokens, dtype=np.int64)[:, None])

    def _feed(self, tokens: npt.NDArray[np.int64]) -> None:
        logits, self._cache = self._graph.run(self._feeds(tokens), self._cache)
        self.logits = logits[:, -1]
        self._length += tokens.shape[1]

    def _feeds(self, tokens: npt.NDArray[np.int64]) -> Arrays:
        return _causal_feeds(tokens, self._length, keep=1)


class _CausalDecoding(Decoding):
    def read(self) -> Iterator[None]:
        for start in range(0, len(self.prefix), CHUNK):
            if start:
                yield
            self._feed(np.asarray([self.prefix[start : start + CHUNK]], dtype=np.int64))


class _Seq2SeqDecoding(Decoding):
    """The source stays one row, which the graph broadcasts."""

    def __init__(self, graph: _CachedGraph, encode: Callable[[], Arrays], start: int) -> None:
        super().__init__(graph, [start])
        self._encode = encode

    def read(self) -> Iterator[None]:
        self._source = self._encode()
        yield
        self.step(self.prefix)

    def _feeds(self, tokens: npt.NDArray[np.int64]) -> Arrays:
        return {"input_ids": tokens, **self._source}


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
