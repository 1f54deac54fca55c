"""The three models under attack, and what ordinary callers ask of each, with the right answers."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bench.systems import QUIET, Kind, System, tuneship_serve
from serving.bundle.manifest import MANIFEST
from serving.entrypoints.golden_check import compare_values
from serving.inference.predictor import Predictor

DRAIN, GRACE = 1.0, 4.0
"""Seconds, short so that a measurement is."""
MODEL = Path("sentence-transformers/all-MiniLM-L6-v2")
LONG_EVERY, LONG_WORDS = 10, 60
"""Of ordinary texts, one in ten is long."""
NEW_TOKENS = 8
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Subject:
    """``pairs``: a text and its answer."""

    name: str
    bundle: Path
    parameters: dict[str, Any]
    pairs: Sequence[tuple[str, Answer]]

    @classmethod
    def of(cls, name: str, bundle: Path) -> Subject:
        """With the bundle's golden texts and long ones made of them."""
        predictor = Predictor.open(bundle)
        texts = ordinary_texts([row.inputs for row in predictor.bundle.golden])
        parameters = {"max_new_tokens": NEW_TOKENS, "min_new_tokens": NEW_TOKENS} if name == "generator" else {}
        checked = predictor.task.parameters_type.model_validate(parameters)
        answers = [predictor.predict([text], checked)[0] for text in texts]
        return cls(
            name, bundle, parameters, [(text, Answer([each])) for text, each in zip(texts, answers, strict=True)]
        )

    @property
    def system(self) -> System:
        environment = {**QUIET, "TUNESHIP_DRAIN_SECONDS": str(DRAIN), "TUNESHIP_GRACE_SECONDS": str(GRACE)}
        return System(
            f"hostile {self.name}", Kind.ours, partial(tuneship_serve, self.bundle), "", environment=environment,
            content=lambda text: {"inputs": [text], "parameters": self.parameters}, best_label=Answer,
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Answer:
    """Equal to another whose numbers are nearly its own: other rows in a batch change their last bits."""

    content: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Answer) and not any(compare_values(self.content, other.content, TOLERANCE))

    __hash__ = None  # type: ignore[assignment]


def ordinary_texts(golden: Sequence[str]) -> list[str]:
    """The golden texts, shuffled, with a long one after every nine."""
    draw, texts = random.Random(0), list(golden)
    draw.shuffle(texts)
    words = " ".join(texts).split()
    return [
        " ".join(draw.choices(words, k=LONG_WORDS)) if at % LONG_EVERY == LONG_EVERY - 1 else text
        for at, text in enumerate(texts)
    ]


def prepare_one(name: str, folder: Path) -> Subject:
    """Trains and exports it if it is not in the folder yet."""
    home = folder / name
    if not (home / "bundle" / MANIFEST).exists():
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        (MAKERS | {TINY: _make_tiny})[name](home.absolute())
    return Subject.of(name, home / "bundle")


def _make_classifier(home: Path) -> None:
    from tests.bundles import trained_bundle

    trained_bundle("text-classification", MODEL, home, num_train_epochs=3, learning_rate=2e-4)


def _make_tiny(home: Path) -> None:
    from tests.bundles import trained_bundle
    from tests.tiny import make_backbone

    trained_bundle("text-classification", make_backbone(home / "base"), home)


def _make_tagger(home: Path) -> None:
    from tests.bundles import trained_bundle

    trained_bundle("token-classification", MODEL, home, num_train_epochs=1, learning_rate=2e-4)


def _make_generator(home: Path) -> None:
    from tests.bundles import trained_bundle
    from tests.tiny_generators import make_gpt2

    trained_bundle("text-generation", make_gpt2(home / "base"), home, num_train_epochs=3)


MAKERS: dict[str, Callable[[Path], None]] = {
    "classifier": _make_classifier, "tagger": _make_tagger, "generator": _make_generator,
}  # fmt: skip
TINY = "tiny"
"""The model of those who measure the server rather than the engine."""
