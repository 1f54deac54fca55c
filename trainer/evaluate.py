"""How good the answers are: accuracy, macro-F1, figures a label, the confusion matrix, the worst errors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, f1_score, precision_recall_fscore_support

from trainer.batches import EncodedTexts, LongestFirst, padded_by
from trainer.model import Checkpoint
from trainer.rows import Rows

Z95 = 1.959963984540054


@dataclass(frozen=True)
class Evaluation:
    """A checkpoint's answers to a set of rows: label numbers ``[rows]``, and the answers' probabilities."""

    rows: Rows
    labels: Sequence[str]
    expected: NDArray[np.int64]
    answered: NDArray[np.int64]
    confidence: NDArray[np.float32]

    def metrics(self) -> dict[str, Any]:
        """What a run records: rows, accuracy and its 95 % interval, macro-F1, each label's, the matrix."""
        figures = headline(self.expected, self.answered)
        low, high = wilson_interval(figures["accuracy"], len(self.rows))
        return {
            "rows": len(self.rows),
            **figures,
            "accuracy_interval_95": [low, high],
            "per_label": self._per_label(),
            "confusion_matrix": self.confusion().tolist(),
        }

    def confusion(self) -> NDArray[np.int64]:
        """``[labels, labels]`` counts: a row is what was expected, a column what was answered."""
        matrix: NDArray[np.int64] = confusion_matrix(self.expected, self.answered, labels=list(range(len(self.labels))))
        return matrix

    def errors(self, most: int = 10) -> dict[str, Any]:
        """The mistakes worth reading first: the most frequent pairs, and the most confident wrong answers."""
        return {"confused_pairs": self._confused_pairs(most), "worst": self._worst(most)}

    def _confused_pairs(self, most: int) -> list[dict[str, Any]]:
        wrong = self.confusion() * (1 - np.eye(len(self.labels), dtype=np.int64))
        pairs = sorted((-int(wrong[row, column]), row, column) for row, column in np.argwhere(wrong).tolist())
        return [
            {"expected": self.labels[row], "answered": self.labels[column], "count": -count}
            for count, row, column in pairs[:most]
        ]

    def _worst(self, most: int) -> list[dict[str, Any]]:
        wrong = np.flatnonzero(self.expected != self.answered)
        worst = wrong[np.argsort(-self.confidence[wrong], kind="stable")][:most]
        return [
            {
                "row": self.rows.numbers[at],
                "text": self.rows.texts[at],
                "expected": self.labels[self.expected[at]],
                "answered": self.labels[self.answered[at]],
                "confidence": float(self.confidence[at]),
            }
            for at in worst
        ]

    def _per_label(self) -> dict[str, dict[str, float]]:
        numbers = list(range(len(self.labels)))
        columns = precision_recall_fscore_support(self.expected, self.answered, labels=numbers, zero_division=0)
        return {
            label: {"precision": float(p), "recall": float(r), "f1": float(f), "support": int(s)}
            for label, p, r, f, s in zip(self.labels, *columns, strict=True)
        }


def headline(expected: Any, answered: Any) -> dict[str, float]:
    """Accuracy and macro-F1 of label numbers; macro-F1 is the mean over the labels that occur in either."""
    return {
        "accuracy": float(np.mean(np.asarray(expected) == np.asarray(answered))),
        "macro_f1": float(f1_score(expected, answered, average="macro", zero_division=0)),
    }


def wilson_interval(share: float, n: int, z: float = Z95) -> tuple[float, float]:
    """The Wilson score interval of a share observed in ``n`` cases (Wilson 1927, JASA 22, equation 2)."""
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def evaluate(checkpoint: Checkpoint, rows: Rows, batch_size: int) -> Evaluation:
    """The checkpoint's answers to ``rows``, in fp32, on the accelerator where there is one."""
    numbers = {label: at for at, label in enumerate(checkpoint.labels)}
    expected = [numbers[label] for label in rows.labels]
    encoded = EncodedTexts(checkpoint.tokenizer, rows.texts, expected, checkpoint.max_length)
    answered, confidence = _answers(checkpoint, encoded, batch_size)
    return Evaluation(rows, checkpoint.labels, np.array(expected), answered, confidence)


@torch.inference_mode()
def _answers(
    checkpoint: Checkpoint, encoded: EncodedTexts, batch_size: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model, collate = checkpoint.model.to(device), padded_by(checkpoint.tokenizer)
    answered = np.empty(len(encoded), dtype=np.int64)
    confidence = np.empty(len(encoded), dtype=np.float32)
    order = list(LongestFirst(encoded.lengths()))
    for start in range(0, len(order), batch_size):
        indices = order[start : start + batch_size]
        batch = collate([encoded[index] for index in indices])
        batch.pop("labels")
        logits = model(**{key: value.to(device) for key, value in batch.items()})["logits"]
        best = logits.softmax(dim=-1).max(dim=-1)
        answered[indices], confidence[indices] = best.indices.cpu().numpy(), best.values.cpu().numpy()
    return answered, confidence
