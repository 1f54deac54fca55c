"""What the recipe's sections share."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(gt=0, lt=1)]
Name = Annotated[str, Field(min_length=1)]

Ranking = Literal["recall_at_1", "recall_at_5", "recall_at_10", "mrr_at_10", "ndcg_at_10"]
Metric = (
    Literal["accuracy", "macro_f1", "micro_f1", "f1", "exact_match", "pearson", "spearman", "token_accuracy"] | Ranking
)
METRIC_NAMES: tuple[str, ...] = tuple(name for names in get_args(Metric) for name in get_args(names))


class Section(BaseModel):
    """Unknown keys are refused; values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def to_tuples(value: Any) -> Any:
    """YAML has lists only; strict validation wants tuples."""
    if isinstance(value, dict):
        return {key: to_tuples(each) for key, each in value.items()}
    return tuple(value) if isinstance(value, list) else value
