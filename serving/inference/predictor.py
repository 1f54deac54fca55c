"""The predictor: inputs in, answers out. What the proof measures, the server, Lambda and batch all call this one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Encoding, Tokenizer

from serving.batching.batch_shape import BatchShape
from serving.bundle.bundle import Bundle
from serving.bundle.cpu import describe_machine
from serving.bundle.manifest import GoldenRow
from serving.bundle.signature import require_signature
from serving.errors import BundleError, InputError
from serving.inference.engine import Engine, WindowEngine
from serving.inference.generation.engine import GenerationEngine
from serving.inference.variant_choice import VariantChoice, select_variant
from serving.tasks import task_of
from serving.tasks.base import Encoded, Logits, Task
from serving.tasks.generation import Generation


class Predictor:
    """A loaded bundle. It holds no state between calls; `run` may be called on several threads at once."""

    def __init__(self, bundle: Bundle, *, threads: int = 1) -> None:
        """Load tokenizer and graph.

        Args:
            bundle: an opened, and so checked, bundle.
            threads: CPU threads the graph may use.

        Raises:
            BundleError: the tokenizer or the graph cannot be loaded, or the graph is not the one the manifest tells of.
        """
        self.bundle = bundle
        self.manifest = bundle.manifest
        self.choice = VariantChoice(bundle.manifest.graph.variant, bundle.manifest.graph.variant)
        self.task = task_of(bundle.manifest)
        self.tokenizer = _load_tokenizer(bundle, self.task, self.task.truncation_side)
        self._engine = engine_of(bundle, self.task, self.tokenizer, threads)

    @classmethod
    def open(cls, root: Path, *, threads: int = 1, trusted_key: Path | None = None) -> Predictor:
        """Open a bundle, and of its variants the first that answers on this machine as it was proven.

        ``choice`` tells which one that is, and why none before it.

        Args:
            root: the bundle's folder.
            threads: CPU threads the graph may use.
            trusted_key: a public key in PEM whose owner must have signed the bundle; None: unsigned ones are taken too.

        Raises:
            BundleError: the bundle cannot be trusted, or no variant answers here.
            InputError: ``trusted_key`` holds no such key.
        """
        bundle = Bundle.open(root)
        if trusted_key is not None:
            require_signature(bundle, trusted_key)
        predictor, choice = select_variant(bundle, lambda variant: cls._replayed(variant, threads), describe_machine())
        predictor.choice = choice
        return predictor

    @classmethod
    def _replayed(cls, bundle: Bundle, threads: int) -> Predictor:
        predictor = cls(bundle, threads=threads)
        predictor.replay_golden()
        return predictor

    @property
    def shape(self) -> BatchShape:
        """What one call of the graph takes."""
        return self._engine.shape

    def lower_limits(self, limits: Mapping[str, int]) -> None:
        """Accept no more of a request than this, where the bundle would; the names are those of `Limits`."""
        self.manifest = self.manifest.model_copy(update={"limits": self.manifest.limits.lowered(limits)})
        self.bundle = dataclasses.replace(self.bundle, manifest=self.manifest)
        self.task.limits = self.manifest.limits

    def predict(self, inputs: Sequence[Any], parameters: Any = None) -> list[Any]:
        """Answers in the order of the inputs; raises InputError for an input that cannot be answered.

        ``parameters`` are the task's own ``Parameters``.
        """
        return [answer for _, answer in self.answered(inputs, parameters)]

    def answered(self, inputs: Sequence[Any], parameters: Any = None) -> list[tuple[Encoded, Any]]:
        """As `predict`, each answer beside what was read of its input."""
        items = [self.check(each, f"inputs[{index}]") for index, each in enumerate(inputs)]
        encoded = self.encode(items, parameters)
        results = iter(self.run_finite([window for each in encoded for window in each.windows]))
        return [(each, self.task.decode(each, [next(results) for _ in each.windows], parameters)) for each in encoded]

    def check(self, inputs: Any, field: str = "inputs") -> Any:
        """An input as a checked item; raises InputError naming ``field``."""
        item = self.task.check(inputs, field)
        self.task.check_tokens(self.tokenizer, item, field)
        return item

    def encode(self, items: Sequence[Any], parameters: Any = None) -> list[Encoded]:
        """The windows of checked items, each at most the bundle's ``max_length`` tokens, not padded.

        Raises InputError for an item that is longer, where the parameters say that it may not be truncated.
        """
        segments = [self.task.segments(item) for item in items]
        tokenizer = self._other_tokenizer if self._cuts_otherwise(parameters) else self.tokenizer
        places = self.task.needs_offsets or (parameters is not None and parameters.places)
        encode = tokenizer.encode_batch if places else tokenizer.encode_batch_fast  # which tells of no places
        return [
            self._encoded(item, encoding, parameters, f"inputs[{place}]" if len(items) > 1 else "inputs")
            for place, (item, encoding) in enumerate(zip(items, encode(segments), strict=True))
        ]

    def encodes_at_once(self, parameters: Any = None) -> bool:
        """Whether `encode` has the tokenizer it needs: the one that cuts off the other end is made when first asked."""
        return not self._cuts_otherwise(parameters) or "_other_tokenizer" in vars(self)

    def _cuts_otherwise(self, parameters: Any) -> bool:
        asked = parameters.truncation_direction if parameters else None
        return not self.task.uses_windows and asked not in (None, self.task.truncation_side)

    @cached_property
    def _other_tokenizer(self) -> Tokenizer:
        """The same, cutting off the other end: made when first asked for, since few ask and vocabularies are large."""
        side = self.task.truncation_side
        return _load_tokenizer(self.bundle, self.task, "left" if side == "right" else "right")

    def _encoded(self, item: Any, encoding: Encoding, parameters: Any, field: str) -> Encoded:
        truncated = self.task.truncates(encoding)
        if truncated and parameters and not parameters.truncate:
            limit = self.manifest.tokenizer.max_length
            tokens = tokens_of(encoding) if isinstance(self.task.segments(item), str) else f"more than {limit}"
            message = f"{field} has {tokens} tokens and {limit} of them are read; shorten it, or allow truncate"
            raise InputError(message, field=field)
        windows = [self._engine.window(window, parameters) for window in self.task.windows(encoding)]
        return Encoded(item, windows, truncated)

    def run(self, windows: Sequence[Any]) -> list[Any]:
        """The engine's result for each window, in the order given: logits without those of padding, or texts.

        Where the variant is not row-independent, every window is run alone and unpadded, so that nobody's answer
        depends on somebody else's text.
        """
        return self._engine.run(windows)

    def run_finite(self, windows: Sequence[Any]) -> list[Any]:
        """As `run`, for whoever answers by the results: raises RuntimeError where a logit is no finite number.

        Such a graph fails its proof, but for an input that was not in it; JSON has no word for what it gives.
        """
        return _finite(self.run(windows))

    def together(self, windows: Sequence[Any], length: int = 0) -> list[Any]:
        """The results of windows that share a batch, padded to ``length`` tokens at least: those that the batcher put
        together, or the proof's stress. A variant that is not row-independent still runs every window alone and
        unpadded."""
        return self._engine.together(windows, length)

    def together_finite(self, windows: Sequence[Any]) -> list[Any]:
        """As `together`, and as `run_finite`: how the server answers a batch."""
        return _finite(self.together(windows))

    def logits(self, windows: Sequence[Any], results: Sequence[Any]) -> list[Logits]:
        """The logits behind the results: what the proof and the golden answers compare."""
        return self._engine.logits(windows, results)

    def replay_golden(self) -> float:
        """Answer the golden rows on this machine and compare.

        Returns:
            The largest absolute difference of a logit.

        Raises:
            BundleError: token ids or the answer differ, or a logit is further off than the bundle's tolerance.
        """
        return max(self._replay(number, row) for number, row in enumerate(self.bundle.golden, 1))

    def _replay(self, number: int, golden: GoldenRow) -> float:
        where = f"{self.manifest.golden.file}, row {number} ({str(golden.inputs)[:40]!r})"
        encoded = self.encode([self._recorded_item(golden, where)])[0]
        if [window.ids for window in encoded.windows] != golden.input_ids:
            raise BundleError(f"{where}: this machine's token ids differ from the recorded ones. Do not serve it here.")
        results = self.run(encoded.windows)
        logits = [self.task.golden_logits(each) for each in self.logits(encoded.windows, results)]
        difference = _largest_difference(logits, golden.logits, where)
        same = self.task.decision(self.task.decode(encoded, results)) == self._recorded_decision(golden, where)
        if not same or not difference <= self.manifest.golden.tolerance:
            raise BundleError(
                f"{where}: this machine's answer is {'the recorded one' if same else 'not the recorded one'}, "
                f"with a logit {difference:.2g} off (accepted: {self.manifest.golden.tolerance:.2g}). "
                "Export and prove the bundle on a machine of this kind."
            )
        return difference

    def _recorded_item(self, golden: GoldenRow, where: str) -> Any:
        try:
            return self.check(golden.inputs)
        except InputError as error:
            message = f"{where} is not an input of {self.task.name}: {error}. Export the bundle again."
            raise BundleError(message) from error

    def _recorded_decision(self, golden: GoldenRow, where: str) -> Any:
        try:
            return self.task.decision(golden.outputs)
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise BundleError(f"{where} is not an answer of {self.task.name}. Export the bundle again.") from error


def _finite(results: list[Any]) -> list[Any]:
    """The results; raises RuntimeError where one holds a number that is not finite."""
    logits = [each.ravel() for each in results if isinstance(each, np.ndarray)]
    if logits and not np.isfinite(np.concatenate(logits)).all():
        raise RuntimeError("the graph gave a logit that is not a finite number")
    return results


def tokens_of(encoding: Encoding) -> int:
    """Tokens of a lone text, its special ones and those that were cut off included."""
    return len(encoding.ids) + sum(each.special_tokens_mask.count(0) for each in encoding.overflowing)


def _largest_difference(logits: Sequence[Logits], recorded: Sequence[list[Any]], where: str) -> float:
    try:
        expected = [np.asarray(window, dtype=np.float32) for window in recorded]
    except (TypeError, ValueError):  # rows of unequal length, or no numbers
        expected = []
    if [window.shape for window in expected] != [window.shape for window in logits]:
        raise BundleError(f"{where}: the recorded logits have another shape than the graph's. Export the bundle again.")
    # numpy's max, which keeps a nan; Python's loses one that does not come first.
    return float(np.max([np.abs(ours - theirs).max() for ours, theirs in zip(logits, expected, strict=True)]))


def _load_tokenizer(bundle: Bundle, task: Task, truncation_side: str) -> Tokenizer:
    spec = bundle.manifest.tokenizer
    try:
        tokenizer = Tokenizer.from_buffer(bundle.read(spec.file))
        tokenizer.no_padding()
        _check_stride(tokenizer, spec.max_length, task)
        tokenizer.enable_truncation(
            spec.max_length, stride=task.stride, strategy=task.truncation, direction=truncation_side
        )
    except ValueError as error:
        raise BundleError(f"{spec.file} is not a tokenizer that this version can read: {error}") from error
    return tokenizer


def _check_stride(tokenizer: Tokenizer, max_length: int, task: Task) -> None:
    """The tokenizers library aborts where every next window would begin where the last one did."""
    room = max_length - tokenizer.num_special_tokens_to_add(is_pair=task.truncation == "only_second")
    if task.uses_windows and task.stride >= room:
        raise BundleError(
            f"manifest.json: windows share {task.stride} tokens and hold {room} of the text; they cannot move on. "
            "Export the bundle again."
        )


def engine_of(bundle: Bundle, task: Task, tokenizer: Tokenizer, threads: int) -> Engine:
    """The engine that runs the bundle's graphs; raises BundleError where they cannot be loaded."""
    if isinstance(task, Generation):
        return GenerationEngine(bundle, task, tokenizer, threads)
    return WindowEngine(bundle, task, threads)
