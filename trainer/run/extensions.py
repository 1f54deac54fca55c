"""Which extensions a training uses, for its lock and its bundle."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from serving.extensions.extension import Extension
from serving.extensions.registry import find_extension
from trainer.data.readers import own_reader
from trainer.recipe.applicability import LOSS_NAMES
from trainer.recipe.recipe import Recipe
from trainer.recipe.section import METRIC_NAMES

Records = dict[str, dict[str, str]]
"""By key, such as ``metrics.f2``: distribution, version, sha256 of the source."""


AFTER_TRAINING = ("metrics", "heads", "preprocessors", "postprocessors")
"""The kinds that an export uses too."""


def changed_extensions(recipe: Recipe, locked: Records) -> tuple[Records, Records]:
    """Those that an export uses, as they were locked and as they are; raises InputError for one that is missing."""

    def of_export(records: Records) -> Records:
        return {key: record for key, record in records.items() if key.partition(".")[0] in AFTER_TRAINING}

    return of_export(locked), of_export(extension_records(recipe))


def extension_records(recipe: Recipe) -> Records:
    """Raises InputError for one that is missing, or has no source."""
    return {each.key: each.to_record() for each in used_extensions(recipe)}


def used_extensions(recipe: Recipe) -> Iterator[Extension]:
    """Those that the recipe names, and those that read its files; raises InputError."""
    if recipe.loss not in LOSS_NAMES:
        yield find_extension("losses", recipe.loss)
    if recipe.metric not in METRIC_NAMES:
        yield find_extension("metrics", recipe.metric)
    if recipe.model_head.head is not None:
        yield find_extension("heads", recipe.model_head.head)
    for name in recipe.data.preprocess:
        yield find_extension("preprocessors", name)
    for name in recipe.data.postprocess:
        yield find_extension("postprocessors", name)
    yield from {reader.key: reader for name in _files(recipe) if (reader := own_reader(name))}.values()


def _files(recipe: Recipe) -> Iterator[str]:
    """That rows are read from."""
    data = recipe.data
    several: list[Any] = [data.train, data.validation, *(choice for _, choice in data.test_sets())]
    further = [recipe.export.rows, *(section.rows for section in (recipe.distil, recipe.few_shot) if section)]
    for each in [*several, *further] if data.dataset is None else further:
        names = each if isinstance(each, tuple) else (each,)
        yield from (name for name in names if isinstance(name, str))
