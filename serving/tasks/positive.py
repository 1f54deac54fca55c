"""Which of two labels means yes."""

from __future__ import annotations

import re
from collections.abc import Sequence

YES = {"true": "false", "yes": "no", "1": "0", "y": "n", "t": "f", "on": "off"}

NEGATIONS = ("not", "no", "non", "un", "ir", "in", "im", "dis", "mis")
"""Before a label, they make the other one of it: ``not_spam``, ``irrelevant``."""


def positive_label(labels: Sequence[str]) -> int | None:
    """Its index; None where the labels do not say so, or are not two."""
    if len(labels) != 2:
        return None
    plain = [re.sub(r"[\W_]", "", label.casefold()) for label in labels]
    for index, (label, other) in enumerate((plain, plain[::-1])):
        if label and (YES.get(label) == other or other in [negation + label for negation in NEGATIONS]):
            return index
    return None
