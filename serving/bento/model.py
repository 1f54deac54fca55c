"""A bundle in BentoML's store of models: the Bento refers to it by its tag, and holds none of its files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from bentoml.exceptions import BentoMLException
from bentoml.models import BentoModel

from serving.errors import BundleError, InputError

BENTO = Path(__file__).resolve().parents[3] / "bento.yaml"
"""Beside the folder src that holds this file in a Bento."""

VARIABLE = "TUNESHIP_BENTO_MODEL"


def find_model(environment: Mapping[str, str], bento: Path = BENTO) -> BentoModel | None:
    """What the variable names, else the model of the Bento that this file is part of; raises InputError."""
    tag, bundle = environment.get(VARIABLE), environment.get("TUNESHIP_BUNDLE")
    if tag and bundle:
        raise InputError(f"{VARIABLE} is {tag!r} and TUNESHIP_BUNDLE {bundle!r}: set one of them", field=VARIABLE)
    if bundle:
        return None
    tag = tag or _tag_of(bento)
    try:
        return BentoModel(tag) if tag else None
    except (BentoMLException, ValueError) as error:
        raise InputError(f"{VARIABLE} is {tag!r}; NAME or NAME:VERSION is accepted ({error})", field=VARIABLE) from None


def _tag_of(bento: Path) -> str:
    """Of the only model that a Bento refers to; empty where there is none, or no Bento."""
    if not bento.is_file():
        return ""
    content = yaml.safe_load(bento.read_text(encoding="utf-8"))
    parts: Iterable[Mapping[str, Any]] = (content, *(content.get("services") or ()))
    tags = {model["tag"] for part in parts for model in part.get("models") or ()}
    if len(tags) > 1:
        raise InputError(f"the Bento refers to several models ({', '.join(sorted(tags))}); {VARIABLE} names one")
    return next(iter(tags), "")


def folder_of(model: BentoModel) -> Path:
    """Where BentoML keeps it, once it is fetched; raises BundleError."""
    try:
        return Path(model.resolve().path)
    except BentoMLException as error:
        put = f"put it there by tuneship push BUNDLE bento:{model.tag}, or by bentoml models pull {model.tag}"
        raise BundleError(f"BentoML's store has no model {model.tag} ({error}); {put}") from error
