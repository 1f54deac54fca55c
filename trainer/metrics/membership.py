"""How well training rows can be told from others: figures of a membership-inference attack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.metrics.intervals import wilson_interval

Floats = NDArray[np.float64]

FALSE_POSITIVES = 0.01
"""Few false alarms: what an attacker needs who wants to be sure (Carlini et al. 2022)."""
FEWEST = 100
"""Other rows, from which on one in a hundred is one."""


@dataclass(frozen=True)
class Attack:
    """A score for each training row and for each other row; it is higher where the attack says: a training row."""

    members: Floats
    others: Floats

    def to_record(self) -> dict[str, Any]:
        auc, interval = auc_with_interval(self.members, self.others)
        record: dict[str, Any] = {"auc": auc, "auc_interval_95": interval}
        if len(self.others) < FEWEST:
            return record
        share = self.true_positives(FALSE_POSITIVES)
        return record | {
            "true_positive_rate": share,
            "true_positive_rate_interval_95": list(wilson_interval(share, len(self.members))),
            "false_positive_rate": FALSE_POSITIVES,
        }

    def true_positives(self, false_positives: float) -> float:
        """The share of training rows above a threshold that at most this share of the others is above."""
        allowed = int(false_positives * len(self.others))
        threshold = np.sort(self.others)[::-1][allowed]
        return float(np.mean(self.members > threshold))


def auc_with_interval(members: Floats, others: Floats) -> tuple[float, list[float]]:
    """The area under the ROC curve and its 95 % interval by DeLong et al. 1988.

    The ranks are those of Sun and Xu 2014; ties count half.
    """
    from scipy.stats import rankdata

    m, n = len(members), len(others)
    together = rankdata(np.concatenate([members, others]))
    above = (together[:m] - rankdata(members)) / n  # the share of others below each member
    below = 1 - (together[m:] - rankdata(others)) / m
    auc = float(above.mean())
    variance = sum(float(each.var(ddof=1)) / len(each) if len(each) > 1 else 0.25 for each in (above, below))
    margin = 1.959964 * float(np.sqrt(variance))
    return auc, [max(0.0, auc - margin), min(1.0, auc + margin)]


def relative_to_label(losses: Floats, labels: Sequence[str], others: Floats, labels_of_others: Sequence[str]) -> Attack:
    """Losses beside the mean of other rows of the label: a label may be hard for training rows and others alike.

    A row is not part of its own mean.
    """
    names = {name: at for at, name in enumerate(dict.fromkeys([*labels, *labels_of_others]))}
    mine, theirs = (np.array([names[each] for each in group], dtype=np.intp) for group in (labels, labels_of_others))
    sums, counts = np.bincount(theirs, others, len(names)), np.bincount(theirs, minlength=len(names)).astype(float)
    everyone = float(others.mean())
    usual = np.divide(sums, counts, out=np.full(len(names), everyone), where=counts > 0)
    left = counts[theirs] - 1
    usual_of_others = np.divide(sums[theirs] - others, left, out=np.full(len(others), everyone), where=left > 0)
    return Attack(usual[mine] - losses, usual_of_others - others)


def largest_share(epsilon: float, delta: float, false_positives: float | Floats) -> Any:
    """Of true positives, that (ε, δ)-differential privacy allows any attack (Kairouz et al. 2015)."""
    alpha = np.asarray(false_positives)
    growth = np.exp(min(epsilon, 700.0))
    return np.clip(np.minimum(growth * alpha + delta, 1 - (1 - delta - alpha) / growth), alpha, 1.0)


def largest_auc(epsilon: float, delta: float) -> float:
    """Of any attack, by the same."""
    alpha = np.concatenate([[0.0], np.logspace(-12, 0, 20_001)])
    return float(np.trapezoid(largest_share(epsilon, delta, alpha), alpha))
