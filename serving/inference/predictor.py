"""Inputs to answers, for proof, server, Lambda and batch prediction."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from serving.batching.batch_shape import BatchShape
from serving.bundle.bundle import Bundle
from serving.bundle.cpu import describe_machine
from serving.bundle.manifest import Device, GoldenRow
from serving.errors import BundleError, InputError, Panics, UserError
from serving.inference.engine import WindowEngine
from serving.inference.tokenization import Tokenized, load_tokenization
from serving.inference.variant_choice import VariantChoice, select_variant
from serving.tasks import task_of
from serving.tasks.base import CutParameters, Encoded, Logits, Side
from serving.tasks.generation import Generation

if TYPE_CHECKING:
    from serving.inference.generation.engine import GenerationEngine

LOAD_SECONDS = 300.0
"""Until a bundle has repeated its golden answers; a graph can hold an endless loop."""

SECONDS_BETWEEN_INTERRUPTS = 0.05
"""Of a late proof: an interrupt that comes between two runs ends neither."""


PANICS = Panics(RuntimeError, "the tokenizers library failed")


class Predictor:
    """A loaded bundle. `run` is thread-safe."""

    def __init__(self, bundle: Bundle, *, threads: int = 1) -> None:
        """Load tokenizer and graph on ``threads`` CPU threads; raises BundleError."""
        self.bundle = bundle
        self.manifest = bundle.manifest
        self.choice = VariantChoice(bundle.manifest.graph.variant, bundle.manifest.graph.variant)
        self.task = task_of(bundle.manifest)
        with Panics(BundleError, f"{bundle.manifest.tokenizer.file} makes the tokenizers library fail"):
            self._tokenization = load_tokenization(bundle, self.task)
        self.tokenizer = self._tokenization.tokenizer
        self._engine = self._make_engine(threads)

    def _make_engine(self, threads: int) -> WindowEngine | GenerationEngine:
        if not isinstance(self.task, Generation):
            return WindowEngine(self.bundle, self.task, threads)
        from serving.inference.generation.engine import GenerationEngine  # other tasks start sooner without

        return GenerationEngine(self.bundle, self.task, self.tokenizer, threads)

    @property
    def pad_token_id(self) -> int:
        return self.manifest.tokenizer.pad_token_id

    @property
    def most_tokens(self) -> int:
        """That are read of a text, special ones included; of entities and answers, in one window."""
        return self._tokenization.most_tokens

    @classmethod
    def open(
        cls,
        root: Path,
        *,
        threads: int = 1,
        trusted_key: Path | None = None,
        created_after: datetime | None = None,
        seconds: float = LOAD_SECONDS,
        device: Device = "auto",
        replay: bool = True,
    ) -> Predictor:
        """Open a bundle and load the first variant that reproduces its golden answers.

        Args:
            root: the bundle's folder.
            threads: CPU threads of the graph.
            trusted_key: a public key in PEM that must have signed the bundle, if given.
            created_after: refuse bundles that were exported before, if given.
            seconds: until the golden answers must be there.
            device: refuse variants that were proven elsewhere, unless ``auto``.
            replay: False: take the first variant that may serve on this machine, with no golden answer repeated.

        Raises:
            BundleError: the bundle cannot be trusted, or no variant answers here in time.
            InputError: ``trusted_key`` is no public key.
        """
        end = time.monotonic() + seconds
        bundle = Bundle.open(root)
        if trusted_key is not None or created_after is not None:
            _require_trust(bundle, trusted_key, created_after)
        return cls.load(bundle, threads, end - time.monotonic(), device, replay=replay)

    @classmethod
    def load(
        cls,
        bundle: Bundle,
        threads: int = 1,
        seconds: float = LOAD_SECONDS,
        device: Device = "auto",
        *,
        replay: bool = True,
    ) -> Predictor:
        """The first variant of a checked bundle that reproduces its golden answers; see `open`."""
        proven = partial(cls._load_proven, threads=threads, end=time.monotonic() + seconds)
        load = proven if replay else partial(cls, threads=threads)
        predictor, choice = select_variant(bundle, load, describe_machine(), device)
        predictor.choice = choice
        return predictor

    @classmethod
    def _load_proven(cls, bundle: Bundle, threads: int, end: float) -> Predictor:
        predictor = cls(bundle, threads=threads)
        predictor.replay_golden(end - time.monotonic(), together=True)
        return predictor

    @property
    def shape(self) -> BatchShape:
        return self._engine.shape

    def set_limits(self, limits: Mapping[str, int]) -> None:
        """In place of the bundle's `Limits`, by field name."""
        self.manifest = self.manifest.model_copy(update={"limits": self.manifest.limits.model_copy(update=limits)})
        self.bundle = dataclasses.replace(self.bundle, manifest=self.manifest)
        self.task.limits = self.manifest.limits

    def predict(self, inputs: Sequence[Any], parameters: Any = None) -> list[Any]:
        """Answers, under the task's parameters; raises InputError."""
        return [answer for _, answer in self.predict_encoded(inputs, parameters)]

    def predict_encoded(self, inputs: Sequence[Any], parameters: Any = None) -> list[tuple[Encoded, Any]]:
        return self.answer([self.check(each, f"inputs[{index}]") for index, each in enumerate(inputs)], parameters)

    def answer(
        self, items: Sequence[Any], parameters: Any = None, fields: Sequence[str] = ()
    ) -> list[tuple[Encoded, Any]]:
        """Checked items, whose names are ``fields``, with their answers."""
        encoded = self.encode(items, parameters, fields)
        results = iter(_require_finite(self.run([window for each in encoded for window in each.windows])))
        return [(each, self.task.answer(each, [next(results) for _ in each.windows], parameters)) for each in encoded]

    def check(self, inputs: Any, field: str = "inputs") -> Any:
        """An input as a checked item; raises InputError naming ``field``."""
        item = self.task.check(inputs, field)
        self.task.check_tokens(self.tokenizer, item, field)
        return item

    def encode(self, items: Sequence[Any], parameters: Any = None, fields: Sequence[str] = ()) -> list[Encoded]:
        """Unpadded windows of checked items, whose names are ``fields``.

        Raises InputError for one that has no tokens, may not be truncated, or has a token that has no embedding.
        """
        fields = fields or item_fields("inputs", len(items))
        for item, field in zip(items, fields, strict=True):
            self.task.check_room(self.tokenizer, item, field)
        offsets = self.task.needs_offsets or (parameters is not None and parameters.places)
        segments = [self.task.segments(item) for item in items]
        whole = parameters is not None and not parameters.truncate  # the refusal tells how long a text is
        side = self._truncation_side(parameters)
        with PANICS:
            tokenized = self._tokenization.encode(segments, side, offsets=offsets, whole=whole, most=_most(parameters))
        each_with = zip(items, tokenized, fields, strict=True)
        return [self._to_encoded(item, each, parameters, field) for item, each, field in each_with]

    def _truncation_side(self, parameters: Any) -> Side:
        side: Side | None = parameters.truncation_direction if parameters else None
        return side or self.task.truncation_side

    def _to_encoded(self, item: Any, tokenized: Tokenized, parameters: Any, field: str) -> Encoded:
        self.task.check_encoding(self.tokenizer, tokenized.windows[0], field)
        if tokenized.cut and parameters and not parameters.truncate:
            tokens, read = tokenized.read + tokenized.cut, tokenized.read
            message = f"{field} has {tokens} tokens and {read} of them are read; shorten it, or allow truncate"
            raise InputError(message, field=field)
        windows = [self._engine.window(window, parameters) for window in tokenized.windows]
        return Encoded(item, windows, tokenized.cut > 0)

    def run(self, windows: Sequence[Any]) -> list[Any]:
        """Each window's logits without padding, or generated texts."""
        return self._engine.run(windows)

    def run_batch(self, windows: Sequence[Any], length: int = 0) -> list[Any]:
        """As `run`, in one batch of ``length`` tokens or more, if the variant is row-independent."""
        return self._engine.run_batch(windows, length)

    @property
    def runs_in_slices(self) -> bool:
        """Whether `run_slice` may give UNFINISHED."""
        return isinstance(self.task, Generation)

    def run_slice(self, windows: Sequence[Any]) -> list[Any]:
        """As `run_batch_finite`, for a short time: what is UNFINISHED is to be run again."""
        if self.runs_in_slices:
            return cast("GenerationEngine", self._engine).run_slice(windows)
        return self.run_batch_finite(windows)

    def run_batch_finite(self, windows: Sequence[Any]) -> list[Any]:
        """As `run_batch`; raises RuntimeError for a NaN or infinite logit, which JSON cannot express."""
        return _require_finite(self.run_batch(windows))

    def logits(self, windows: Sequence[Any], results: Sequence[Any]) -> list[Logits]:
        """Behind the results, for proof and golden answers."""
        return self._engine.logits(windows, results)

    def interrupt(self) -> None:
        """Make the runs under way fail."""
        self._engine.interrupt()

    def replay_golden(self, seconds: float = LOAD_SECONDS, *, together: bool = False) -> float:
        """Answer the golden rows; returns the largest absolute difference of a logit.

        ``together``: in batches, as `run` makes them, in half the time; else each alone, as they were recorded.

        Raises:
            BundleError: a token id or decision differs, a logit by more than the tolerance, or it takes longer.
        """
        with self._proving(seconds), PANICS:
            rows = list(enumerate(self.bundle.golden, 1))
            return max(map(self._replay, [rows] if together else [[row] for row in rows]))

    @contextmanager
    def _proving(self, seconds: float) -> Iterator[None]:
        late, ended = threading.Event(), threading.Event()

        def stop() -> None:
            late.set()
            while not ended.wait(SECONDS_BETWEEN_INTERRUPTS):
                self.interrupt()

        timer = threading.Timer(max(0.0, seconds), stop)
        timer.daemon = True
        timer.start()
        try:
            yield
        except UserError:
            raise
        except Exception as error:  # onnxruntime's exceptions share no public base class
            if not late.is_set():
                message = f"{self.bundle.root} fails on its golden answers: {type(error).__name__}: {error}"
                raise BundleError(message) from error
        finally:
            ended.set()
            timer.cancel()
            timer.join()
        if late.is_set():
            message = "did not repeat its golden answers in time: its graph is too slow for this machine, or has no end"
            raise BundleError(f"{self.bundle.root} {message}")

    def _replay(self, rows: Sequence[tuple[int, GoldenRow]]) -> float:
        encoded = [self._encode_golden(golden, self._golden_place(number, golden)) for number, golden in rows]
        results = iter(self.run([window for each in encoded for window in each.windows]))
        return max(
            self._compare(each, [next(results) for _ in each.windows], golden, self._golden_place(number, golden))
            for (number, golden), each in zip(rows, encoded, strict=True)
        )

    def _golden_place(self, number: int, golden: GoldenRow) -> str:
        return f"{self.manifest.golden.file}, row {number} ({str(golden.inputs)[:40]!r})"

    def _encode_golden(self, golden: GoldenRow, where: str) -> Encoded:
        encoded = self.encode([self._golden_item(golden, where)])[0]
        if [window.ids for window in encoded.windows] != golden.input_ids:
            raise BundleError(f"{where}: this machine's token ids differ from the recorded ones. Do not serve it here.")
        return encoded

    def _compare(self, encoded: Encoded, results: list[Any], golden: GoldenRow, where: str) -> float:
        logits = [self.task.golden_logits(each) for each in self.logits(encoded.windows, results)]
        difference = _largest_difference(logits, golden.logits, where)
        same = self.task.decision(self.task.answer(encoded, results)) == self._golden_decision(golden, where)
        if not same or not difference <= self.manifest.golden.tolerance:
            raise BundleError(
                f"{where}: this machine's answer is {'the recorded one' if same else 'not the recorded one'}, "
                f"with a logit {difference:.2g} off (accepted: {self.manifest.golden.tolerance:.2g}). "
                "Export and prove the bundle on a machine of this kind."
            )
        return difference

    def _golden_item(self, golden: GoldenRow, where: str) -> Any:
        try:
            return self.check(golden.inputs)
        except InputError as error:
            message = f"{where} is not an input of {self.task.name}: {error}. Export the bundle again."
            raise BundleError(message) from error

    def _golden_decision(self, golden: GoldenRow, where: str) -> Any:
        try:
            return self.task.decision(golden.outputs)
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise BundleError(f"{where} is not an answer of {self.task.name}. Export the bundle again.") from error


def _require_trust(bundle: Bundle, trusted_key: Path | None, created_after: datetime | None) -> None:
    from serving.bundle.signature import require_recent, require_signature

    if trusted_key is not None:
        require_signature(bundle, trusted_key)
    if created_after is not None:
        require_recent(bundle, created_after)


def item_fields(field: str, items: int) -> list[str]:
    """What a request's inputs are called in messages."""
    return [f"{field}[{place}]" for place in range(items)] if items != 1 else [field]


def _most(parameters: Any) -> int | None:
    """Tokens that a request lets be read."""
    return parameters.max_length if isinstance(parameters, CutParameters) else None


def _require_finite(results: list[Any]) -> list[Any]:
    logits = [each.ravel() for each in results if isinstance(each, np.ndarray)]
    if logits and not np.isfinite(np.concatenate(logits)).all():
        raise RuntimeError("the graph gave a logit that is not a finite number")
    return results


def _largest_difference(logits: Sequence[Logits], recorded: Sequence[list[Any]], where: str) -> float:
    try:
        expected = [np.asarray(window, dtype=np.float32) for window in recorded]
    except (TypeError, ValueError):  # rows of unequal length, or no numbers
        expected = []
    if [window.shape for window in expected] != [window.shape for window in logits]:
        raise BundleError(f"{where}: the recorded logits have another shape than the graph's. Export the bundle again.")
    # numpy's max keeps a NaN; Python's may lose it.
    return float(np.max([np.abs(ours - theirs).max() for ours, theirs in zip(logits, expected, strict=True)]))
