"""The names of extensions in a recipe: which keys and tasks take them."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Annotated, Final

from pydantic import Field

from serving.errors import InputError
from serving.extensions.kinds import NAME, Kind
from serving.extensions.registry import find_extension

OwnName = Annotated[str, Field(pattern=f"^{NAME.pattern}$")]
"""Of an extension (docs/extensions.md)."""

LABELLED: Final = ("text-classification", "multi-label-classification", "regression", "token-classification")
"""The tasks of a loss or a head of one's own."""
SCORED: Final = (*LABELLED, "question-answering")
"""The tasks of a metric or a post-processing of one's own."""


def require_known(
    key: str, kind: Kind, found: str | None, accepted: Sequence[str], built_in: Sequence[str], extensible: bool
) -> None:
    """Raise ValueError for a name that is neither one of the task's nor an extension's.

    Args:
        accepted: the task's names.
        built_in: of all tasks; no extension may have one.
        extensible: whether the task takes an extension's.
    """
    if found is None or found in accepted:
        return
    if found in built_in:
        raise ValueError(f"{key}: {found!r} is not for this task; give one of {', '.join(accepted)}")
    near = difflib.get_close_matches(found, accepted, n=1)
    problem = f"{key}: {found!r} is none of {', '.join(accepted)}" + (f"; did you mean {near[0]}?" if near else "")
    if not extensible:
        raise ValueError(f"{problem}; this task takes no extension there")
    try:
        find_extension(kind, found, built_in)
    except InputError as error:
        raise ValueError(f"{problem}\n    {error}") from None
