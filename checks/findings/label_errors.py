"""Labels that are probably wrong, by confident learning (Northcutt et al. 2021; cleanlab).

Two classifiers that never saw a row say how likely its label is: logistic regression on the base model's sentence
vectors, and naive Bayes on words and pairs of words. They err on other rows, so that their geometric mean tells wrong
labels better than each alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from cleanlab.filter import find_label_issues
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.naive_bayes import MultinomialNB

from serving.observability.progress import track

FOLDS = 5
FEWEST_ROWS = 50
_INVERSE_REGULARIZATION, _MOST_STEPS = 10.0, 30
"""Few steps: more would learn the wrong labels too."""
_SMOOTHING = 0.3

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LabelError:
    """``at`` is the row's place among those that were given; ``confidence`` is the suggestion's probability."""

    at: int
    suggested: Any
    confidence: float
    given_confidence: float


def find_single(vectors: NDArray[np.float32], texts: Sequence[str], numbers: Sequence[int]) -> list[LabelError]:
    """Of one label a row, by number; the worst first. Labels with fewer rows than folds are not judged."""
    counts = np.bincount(numbers)
    judged = np.flatnonzero(counts[numbers] >= FOLDS)
    names, given = np.unique(np.array(numbers)[judged], return_inverse=True)
    if len(names) < 2:
        return []
    probabilities = cross_validated(vectors[judged], [texts[at] for at in judged.tolist()], given)
    flagged = find_label_issues(given, probabilities, filter_by="low_self_confidence", n_jobs=1)
    suggested, own = probabilities.argmax(axis=1), probabilities[np.arange(len(given)), given]
    found = [
        LabelError(int(judged[at]), int(names[suggested[at]]), float(probabilities[at].max()), float(own[at]))
        for at in np.flatnonzero(flagged)
        if suggested[at] != given[at]
    ]
    return sorted(found, key=lambda error: (error.given_confidence, error.at))


def find_multiple(
    vectors: NDArray[np.float32], texts: Sequence[str], numbers: Sequence[Sequence[int]], labels: int
) -> list[LabelError]:
    """Of several labels a row, each label by itself; ``suggested`` is the row's whole list."""
    given = np.zeros((len(numbers), labels), dtype=int)
    for at, row in enumerate(numbers):
        given[at, list(row)] = 1
    probabilities = np.full(given.shape, 0.0)
    flagged = np.zeros(given.shape, dtype=bool)
    words = words_of(texts)
    for label in track("labels", range(labels), labels):
        if min(np.bincount(given[:, label], minlength=2)) >= FOLDS:
            both = _cross_validate(vectors, words, given[:, label])
            flagged[:, label] = find_label_issues(given[:, label], both, filter_by="low_self_confidence", n_jobs=1)
            probabilities[:, label] = both[:, 1]
    flagged &= (probabilities >= 0.5) != given.astype(bool)
    found = [
        _of_several(at, given[at], flagged[at], probabilities[at])
        for at in np.flatnonzero(flagged.any(axis=1)).tolist()
    ]
    return sorted(found, key=lambda error: (error.given_confidence, error.at))


def _of_several(at: int, given: NDArray[Any], flagged: NDArray[Any], probabilities: Floats) -> LabelError:
    suggested = np.flatnonzero(np.where(flagged, 1 - given, given)).tolist()
    own = np.where(given == 1, probabilities, 1 - probabilities)[flagged].min()
    return LabelError(int(at), suggested, float(1 - own), float(own))


def find_numbers(vectors: NDArray[np.float32], targets: Sequence[float]) -> list[LabelError]:
    """Of a number a row, by cleanlab's estimate of which residuals the noise of the data does not explain."""
    from cleanlab.regression.learn import CleanLearning
    from sklearn.linear_model import Ridge

    given = np.array(targets, dtype=float)
    found = CleanLearning(Ridge(1.0), cv_n_folds=FOLDS, n_boot=3, seed=0).find_label_issues(vectors, given)
    flagged = np.flatnonzero(found["is_label_issue"].to_numpy())
    quality, predicted = found["label_quality"].to_numpy(), found["predicted_label"].to_numpy()
    errors = [LabelError(int(at), float(predicted[at]), float(1 - quality[at]), float(quality[at])) for at in flagged]
    return sorted(errors, key=lambda error: (error.given_confidence, error.at))


def cross_validated(vectors: NDArray[np.float32], texts: Sequence[str], numbers: NDArray[Any]) -> Floats:
    """The probability of each label, [rows, labels], by classifiers that have not seen the row."""
    return _cross_validate(vectors, words_of(texts), numbers)


def words_of(texts: Sequence[str]) -> csr_matrix | None:
    """TF-IDF of words and of pairs of them; None where no word occurs twice."""
    try:
        return TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True).fit_transform(texts)
    except ValueError:
        return None


def _cross_validate(vectors: NDArray[np.float32], words: csr_matrix | None, numbers: NDArray[Any]) -> Floats:
    logistic = LogisticRegression(C=_INVERSE_REGULARIZATION, max_iter=_MOST_STEPS)
    by_vector = _predict_unseen(logistic, vectors, numbers)
    if words is None:
        return by_vector
    both = np.sqrt(by_vector * _predict_unseen(MultinomialNB(alpha=_SMOOTHING), words, numbers))
    shares: Floats = both / np.maximum(both.sum(axis=1, keepdims=True), 1e-12)
    return shares


def _predict_unseen(model: Any, features: Any, numbers: NDArray[Any]) -> Floats:
    probabilities = np.zeros((len(numbers), int(numbers.max()) + 1))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    for train, test in track("folds", folds.split(numbers, numbers), FOLDS):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # as is meant
            model.fit(features[train], numbers[train])
        probabilities[test] = model.predict_proba(features[test])
    return probabilities
