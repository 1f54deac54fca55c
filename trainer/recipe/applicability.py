"""Which options of a recipe act: under which task, loss, head, trained weights.

An option that is set and cannot act is refused; a saved recipe has the options that act, and no others. An option that
always acts needs no line here. One that acts under some condition gets a line in `OPTIONS`, beside those of its
section in `SECTIONS`, such as ``"training.momentum": [where("training.optim", "sgd")]``. A test trains with and
without each option, and requires one of both: a difference, or a refusal.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self, get_args

from pydantic import BaseModel

from trainer.recipe.sections import Data, Loss, ModelHead
from trainer.recipe.training import Training


class Recipe(Protocol):
    """What is read of a `trainer.recipe.recipe.Recipe`, which imports this module."""

    @property
    def task(self) -> str: ...
    @property
    def loss(self) -> str: ...
    @property
    def metric(self) -> str: ...
    @property
    def model_head(self) -> ModelHead: ...
    @property
    def data(self) -> Data: ...
    @property
    def training(self) -> Training: ...
    @property
    def model_fields_set(self) -> set[str]: ...

    def model_copy(self, *, update: Mapping[str, Any]) -> Self: ...


@dataclass(frozen=True)
class Condition:
    """``needed`` and ``found`` are words: what an option belongs to, and what the recipe has instead."""

    holds: Callable[[Recipe], bool]
    needed: str
    found: Callable[[Recipe], str]


def where(option: str, *values: Any) -> Condition:
    """The option has one of these values; one that the recipe leaves to its default has that."""
    return Condition(
        lambda recipe: value_of(recipe, option) in values,
        f"{option}: {', '.join(map(str, values[:-1]))}{' or ' * (len(values) > 1)}{values[-1]}",
        lambda recipe: f"under {option}: {value_of(recipe, option)}",
    )


def with_section(section: str) -> Condition:
    needed = f"a recipe with {section}"
    return Condition(lambda recipe: getattr(recipe, section) is not None, needed, lambda recipe: "without it")


def without(section: str) -> Condition:
    needed = f"a recipe without {section}"
    return Condition(lambda recipe: getattr(recipe, section) is None, needed, lambda recipe: f"beside {section}")


_TEXTS = ("text-classification", "multi-label-classification", "regression")
_LABELS = ("text-classification", "multi-label-classification", "token-classification")
_WINDOWS = ("token-classification", "question-answering")
_GENERATED = ("text2text-generation", "text-generation")
_SCORED = (*_LABELS, "question-answering", *_GENERATED)
LAYERED = (*_TEXTS, "token-classification")
"""The tasks of ``model_head.layers``."""

_FINE_TUNES = [without("few_shot"), without("imported")]
_BACKBONE_LEARNS = where("training.trainable", "all", "last_layers", "lora")
_ENDS_AT_A_RATE = ("polynomial", "cosine_with_min_lr", "reduce_lr_on_plateau")
"""Schedules that compare with ``learning_rate``."""
_SETS_A_RATE = Condition(
    lambda recipe: (
        recipe.training.trainable != "classifier"
        or recipe.training.head_learning_rate is None
        or recipe.training.lr_scheduler_type in _ENDS_AT_A_RATE
    ),
    "a backbone that learns, or to a head whose own rate is left out",
    lambda recipe: "under training.trainable: classifier beside training.head_learning_rate",
)
LOSS_NAMES: tuple[str, ...] = get_args(Loss)
RANKING_LOSSES = {"feature-extraction": "multiple-negatives-ranking", "regression": "binary-cross-entropy"}
"""By task, the loss of pairs without scores."""


def ranks(recipe: Recipe) -> bool:
    """Whether rows are pairs without scores: the second text is a right answer to the first."""
    return RANKING_LOSSES.get(recipe.task) == recipe.loss


def compares_rows(recipe: Recipe) -> bool:
    """Whether a row is learned beside others, so that none has a loss of its own."""
    return recipe.loss == "cosent" or ranks(recipe)


_RANKS = Condition(
    ranks,
    "pairs without scores ("
    + ", ".join(f"task: {task} with model_head.loss: {loss}" for task, loss in RANKING_LOSSES.items())
    + ")",
    lambda recipe: f"under task: {recipe.task} with model_head.loss: {recipe.loss}",
)
_HAS_TARGETS = Condition(
    lambda recipe: not ranks(recipe),
    "rows with an answer of their own",
    lambda recipe: f"under model_head.loss: {recipe.loss}, where the second text is the answer",
)
_LONE_TEXTS = Condition(
    lambda recipe: recipe.data.text_pair is None, "single texts", lambda recipe: "beside data.text_pair"
)
_READS_WINDOWS = Condition(
    lambda recipe: recipe.task in _WINDOWS or (recipe.task in _TEXTS and recipe.data.long_text == "windows"),
    f"task: {' or '.join(_WINDOWS)}, or to data.long_text: windows",
    lambda recipe: "under " + ("data.long_text: truncate" if recipe.task in _TEXTS else f"task: {recipe.task}"),
)
_SPLITS = Condition(
    lambda recipe: (
        not isinstance(recipe.data.validation, str)
        or not all(isinstance(choice, str) for _, choice in recipe.data.test_sets())
    ),
    "a data.test or data.validation that is a fraction",
    lambda recipe: "where both are files",
)

_DIVIDES = Condition(
    lambda recipe: _SPLITS.holds(recipe) or recipe.data.folds is not None,
    f"{_SPLITS.needed}, or to data.folds",
    _SPLITS.found,
)
_SPLITS_AT_RANDOM = Condition(
    lambda recipe: recipe.data.time is None, "a split at random", lambda recipe: "beside data.time"
)
_NAMES_SETS = Condition(
    lambda recipe: (
        isinstance(recipe.data.validation, str) or any(isinstance(each, str) for _, each in recipe.data.test_sets())
    ),
    "a data.test or data.validation that is one of its values",
    lambda recipe: "where both are fractions",
)
_KEEPS_TEXTS_ALONE = Condition(
    lambda recipe: not (recipe.data.group or recipe.data.time or recipe.data.split),
    "a recipe without data.group, data.time and data.split, whose values are kept in memory",
    lambda recipe: "beside them",
)

_KNOWN_LOSS = Condition(
    lambda recipe: recipe.loss in LOSS_NAMES,
    "a loss of Tuneship's",
    lambda recipe: f"under model_head.loss: {recipe.loss}, which is your own",
)
_NOISE = Condition(
    lambda recipe: adds_noise(recipe),
    "a recipe with privacy.target_epsilon or privacy.noise_multiplier",
    lambda recipe: "without either",
)
_WITHOUT_NOISE = Condition(
    lambda recipe: not adds_noise(recipe),
    "a recipe without noise (privacy.max_grad_norm is that of one row)",
    lambda recipe: "beside it",
)

SECTIONS: dict[str, list[Condition]] = {"training": _FINE_TUNES}
"""For all options of a section, unless they are in `ANYWHERE`."""

ANYWHERE = frozenset({
    "training.seed", "training.per_device_eval_batch_size", "training.metric_for_best_model", "training.report_to",
})  # fmt: skip
"""Options that act without a fine-tuning too: they sample examples, evaluate, tell, are what a proof compares."""

OPTIONS: dict[str, list[Condition]] = {
    "model_head.pooling": [where("task", *_TEXTS, "feature-extraction")],
    "model_head.layers": [*_FINE_TUNES, where("task", *LAYERED)],
    "model_head.loss": _FINE_TUNES,
    "model_head.focal_gamma": [*_FINE_TUNES, where("model_head.loss", "focal")],
    "model_head.head": [*_FINE_TUNES, where("task", *LAYERED)],
    "model_head.class_weights": [*_FINE_TUNES, where("task", *_LABELS), _KNOWN_LOSS],
    "model_head.interval_coverage": [without("imported"), where("task", "regression"), _HAS_TARGETS],
    "model_head.scale": [*_FINE_TUNES, where("model_head.loss", "cosent", "multiple-negatives-ranking")],
    "model_head.symmetric": [*_FINE_TUNES, where("model_head.loss", "multiple-negatives-ranking")],
    "model_head.matryoshka_dims": [*_FINE_TUNES, where("task", "feature-extraction")],
    "data.text": [where("task", *_TEXTS, "token-classification", "feature-extraction", *_GENERATED)],
    "data.text_pair": [where("task", *_TEXTS, "feature-extraction")],
    "data.label": [where("task", *_TEXTS, "token-classification", "feature-extraction", *_GENERATED), _HAS_TARGETS],
    "data.negative": [_RANKS],
    "data.sampled_negatives": [where("task", "regression"), where("model_head.loss", "binary-cross-entropy")],
    "data.label_separator": [where("task", "multi-label-classification")],
    "data.label_names": [where("task", *_LABELS)],
    "data.word_separator": [where("task", "token-classification")],
    "data.prefix": [where("task", *_GENERATED)],
    "data.max_new_tokens": [where("task", *_GENERATED)],
    "data.stride": [_READS_WINDOWS],
    "data.long_text": [where("task", *_TEXTS), _LONE_TEXTS],
    "data.max_windows": [where("data.long_text", "windows")],
    "data.window_aggregation": [where("data.long_text", "windows")],
    "data.group": [_DIVIDES],
    "data.time": [_SPLITS],
    "data.split": [_NAMES_SETS],
    "data.split_seed": [_SPLITS, _SPLITS_AT_RANDOM],
    "data.streaming": [
        *_FINE_TUNES,
        without("distil"),
        Condition(lambda recipe: not adds_noise(recipe), "a recipe without noise", lambda recipe: "beside privacy"),
        where("task", *_TEXTS, "feature-extraction", *_GENERATED),
        _HAS_TARGETS,
        where("data.long_text", "truncate"),
        where("data.folds", None),
        _KEEPS_TEXTS_ALONE,
    ],
    "training.learning_rate": [_SETS_A_RATE],
    "training.probe_examples_per_label": [
        where("task", "text-classification"),
        where("model_head.loss", "cross-entropy", "focal"),
        _LONE_TEXTS,
        Condition(
            lambda recipe: recipe.model_head.head is None,
            "a linear head",
            lambda recipe: f"under model_head.head: {recipe.model_head.head}",
        ),
    ],
    "training.head_learning_rate": [where("task", *LAYERED, "question-answering")],
    "training.gradient_checkpointing": [_BACKBONE_LEARNS],
    "training.max_grad_norm": [_WITHOUT_NOISE],
    "training.momentum": [where("training.optim", "sgd")],
    "training.adam_beta1": [where("training.optim", "adamw")],
    "training.adam_beta2": [where("training.optim", "adamw")],
    "training.adam_epsilon": [where("training.optim", "adamw")],
    "training.layerwise_lr_decay": [_BACKBONE_LEARNS],
    "training.gradual_unfreezing": [where("training.trainable", "all")],
    "training.label_smoothing_factor": [
        where("task", "text-classification", "token-classification", *_GENERATED),
        where("model_head.loss", "cross-entropy", "binary-cross-entropy"),
    ],
    "training.freeze_embeddings": [where("training.trainable", "all")],
    "training.lora": [where("training.trainable", "lora")],
    "distil.vector_weight": [where("task", *_TEXTS), where("data.long_text", "truncate")],
    "privacy.target_delta": [_NOISE],
    "privacy.max_grad_norm": [_NOISE],
    "privacy.accountant": [_NOISE],
    "export.max_teacher_drop": [with_section("distil")],
    "export.min_agreement": [where("task", *_SCORED)],
    "export.max_probability_change": [where("task", *_SCORED)],
    "export.max_mean_probability_change": [where("task", *_SCORED)],
    "export.max_ece_change": [where("task", "text-classification")],
    "export.max_value_change": [where("task", "regression")],
    "export.max_mean_value_change": [where("task", "regression")],
    "export.min_cosine": [where("task", "feature-extraction")],
    "export.min_mean_cosine": [where("task", "feature-extraction")],
    "export.max_length_change": [where("task", "feature-extraction")],
    "export.max_mean_length_change": [where("task", "feature-extraction")],
    "export.min_mean_text_f1": [where("task", *_GENERATED)],
}


def acts(recipe: Recipe, option: str) -> bool:
    return all(condition.holds(recipe) for condition in _conditions(option))


def describe_idle(recipe: Recipe) -> list[str]:
    """A line for each reason why options that the recipe sets do nothing."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for option in idle_options(recipe):
        failed = next(condition for condition in _conditions(option) if not condition.holds(recipe))
        reasons.setdefault((failed.needed, failed.found(recipe)), []).append(option)
    return [_describe(options, *reason) for reason, options in reasons.items()]


def idle_options(recipe: Recipe) -> list[str]:
    """Those that the recipe sets and that do nothing; null, and a zero or false that is the default, claim nothing."""
    return [
        option
        for option, value, default in _set_options(recipe)
        if not acts(recipe, option) and value is not None and (value or default)
    ]


def without_idle(mapping: dict[str, Any], recipe: Recipe, keep: Collection[str] = ()) -> dict[str, Any]:
    """A copy of ``mapping``, which is the recipe's, with the options that act, and those to ``keep``."""
    kept = copy.deepcopy(mapping)
    for section, values in mapping.items():
        for name in values if isinstance(values, dict) else ():
            if (option := f"{section}.{name}") not in keep and not acts(recipe, option):
                del kept[section][name]
    return kept


def _set_options(recipe: Recipe) -> Iterator[tuple[str, Any, Any]]:
    """Each with its value and default."""
    for section in sorted(recipe.model_fields_set):
        values = getattr(recipe, section)
        if isinstance(values, BaseModel):
            for name in type(values).model_fields:
                if name in values.model_fields_set:
                    yield f"{section}.{name}", getattr(values, name), type(values).model_fields[name].default


def adds_noise(recipe: Recipe) -> bool:
    """Whether the training is differentially private."""
    privacy = value_of(recipe, "privacy")
    return privacy is not None and privacy.adds_noise


def _conditions(option: str) -> list[Condition]:
    general = [] if option in ANYWHERE else SECTIONS.get(option.partition(".")[0], [])
    return [*general, *OPTIONS.get(option, [])]


def _describe(options: list[str], needed: str, found: str) -> str:
    one = len(options) == 1
    verb, does, pronoun = ("belongs", "does", "it") if one else ("belong", "do", "them")
    return f"{', '.join(options)}: {verb} to {needed}, and {does} nothing {found}; leave {pronoun} out"


def value_of(recipe: Recipe, option: str) -> Any:
    """That of the recipe, or its default."""
    if option == "model_head.loss":
        return recipe.loss
    value: Any = recipe
    for name in option.split("."):
        value = getattr(value, name)
    return value
