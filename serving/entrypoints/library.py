"""A bundle's answers in any Python program: a notebook, a web application, a task of a data pipeline."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, overload

from serving.bundle.manifest import Device, Manifest
from serving.errors import InputError, UserError
from serving.inference.memory import return_freed_memory
from serving.inference.predictor import LOAD_SECONDS
from serving.inference.predictor import Predictor as InferencePredictor
from serving.protocols.base import parse_parameters
from serving.protocols.pipeline_parameters import translate
from serving.settings.settings import available_cpus
from serving.tasks.inputs import json_type

INPUTS_AT_ONCE = 1024
"""That are tokenised and kept together, however many there are."""


class Closed(UserError):
    """The predictor was closed."""


class Predictor:
    """Answers texts as the server of the same bundle does. Threads may share it."""

    def __init__(self, predictor: InferencePredictor) -> None:
        """Use `open`."""
        self._manifest = predictor.manifest
        self._predictor: InferencePredictor | None = predictor

    @classmethod
    def open(
        cls,
        bundle: str | Path,
        *,
        threads: int | None = None,
        golden_check: bool = True,
        device: Device = "auto",
        trusted_key: str | Path | None = None,
        created_after: datetime | None = None,
        seconds: float = LOAD_SECONDS,
    ) -> Self:
        """Check a bundle's files, and load the first variant that answers here as it was proven to.

        Args:
            bundle: its folder.
            threads: CPU threads of the graph; None: the CPUs of this process.
            golden_check: repeat the recorded answers first, as a server does. False: load the first variant as it is.
            device: refuse variants that were proven elsewhere, unless ``auto``.
            trusted_key: a public key in PEM that must have signed the bundle, if given.
            created_after: refuse bundles that were exported before, if given; with a time zone.
            seconds: until the recorded answers must be there.

        Raises:
            BundleError: the bundle cannot be trusted, or no variant answers here as it was proven to.
            InputError: ``trusted_key`` is no public key.
        """
        return cls(
            InferencePredictor.open(
                Path(bundle),
                threads=threads or available_cpus(),
                trusted_key=None if trusted_key is None else Path(trusted_key),
                created_after=created_after,
                seconds=seconds,
                device=device,
                replay=golden_check,
            )
        )

    @overload
    def predict(self, inputs: str | Mapping[str, Any], **options: Any) -> Any: ...
    @overload
    def predict(self, inputs: Iterable[Any], **options: Any) -> list[Any]: ...

    def predict(self, inputs: Any, **options: Any) -> Any:
        """The answer to one input, or the list of answers to several.

        Args:
            inputs: a text, or a mapping such as ``{"text": …, "text_pair": …}`` or ``{"question": …, "context": …}``;
                or any number of them in a list, a tuple, a column or another iterable.
            options: of the task, such as ``top_k=3`` or ``max_new_tokens=20``; `options` names them.

        Returns:
            What ``/predict`` answers to each input, as plain Python values.

        Raises:
            InputError: an input or an option is not accepted; its ``field`` is the name of the wrong part.
            Closed: `close` was called.
        """
        predictor = self._opened()
        parameters = parse_parameters(translate(options or None, predictor.task), predictor.task.parameters_type)
        if isinstance(inputs, str | Mapping):
            return _answer(predictor, [inputs], ["inputs"], parameters)[0]
        listed = _listed(inputs)
        return _answer(predictor, listed, [f"inputs[{at}]" for at in range(len(listed))], parameters)

    async def predict_async(self, inputs: Any, **options: Any) -> Any:
        """As `predict`, on another thread: the event loop goes on meanwhile."""
        return await asyncio.to_thread(lambda: self.predict(inputs, **options))

    def replay_golden(self) -> float:
        """Repeat the recorded answers; returns the largest absolute difference of a logit.

        Raises:
            BundleError: an answer is not the recorded one.
        """
        return self._opened().replay_golden()

    @property
    def task(self) -> str:
        """Such as ``text-classification``."""
        return self._manifest.task

    @property
    def labels(self) -> list[str]:
        """In the order of the model's outputs; empty for a task without labels."""
        return list(self._manifest.labels)

    @property
    def options(self) -> dict[str, str]:
        """What `predict` accepts beside inputs: each option with what it does."""
        fields = self._opened().task.parameters_type.model_fields
        return {name: field.description or "" for name, field in fields.items()}

    @property
    def variant(self) -> str:
        """The one that serves, such as ``int8``."""
        return self._opened().choice.served

    @property
    def warnings(self) -> list[str]:
        """Why another variant than the bundle's first one serves, if so."""
        return self._opened().choice.warnings

    @property
    def manifest(self) -> Manifest:
        """What the bundle says of its model, its data and its proof."""
        return self._manifest

    def close(self) -> None:
        """Free the model's memory. A predictor that was closed answers no more."""
        self._predictor = None
        return_freed_memory()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._predictor is None else self._predictor.choice.served
        return f"<Predictor {self._manifest.name}: {self.task}, {len(self.labels)} labels, {state}>"

    def _opened(self) -> InferencePredictor:
        if self._predictor is None:
            raise Closed(f"the predictor of {self._manifest.name} was closed; open the bundle again")
        return self._predictor


def _listed(inputs: Any) -> list[Any]:
    try:
        return list(inputs)
    except TypeError:
        message = f"inputs is {json_type(inputs)}; a text, a mapping, or an iterable of them is accepted"
        raise InputError(message, field="inputs") from None


def _answer(predictor: InferencePredictor, inputs: Sequence[Any], fields: Sequence[str], parameters: Any) -> list[Any]:
    """All are checked before the first is answered."""
    items = [predictor.check(_plain(each), field) for each, field in zip(inputs, fields, strict=True)]
    answers: list[Any] = []
    for start in range(0, len(items), INPUTS_AT_ONCE):
        part = slice(start, start + INPUTS_AT_ONCE)
        answers += [answer for _, answer in predictor.answer(items[part], parameters, fields[part])]
    return answers


def _plain(inputs: Any) -> Any:
    """As JSON would have it: tasks know dicts."""
    return dict(inputs) if isinstance(inputs, Mapping) else inputs
