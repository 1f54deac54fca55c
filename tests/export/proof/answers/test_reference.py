"""The reference frees its weights while others need the memory, and has them again when it is asked."""

from __future__ import annotations

import weakref

import numpy as np

from export.proof.answers.reference import load_reference
from trainer.run.run import Run


def test_weights_come_and_go(tiny_run: Run) -> None:
    """Released, they are gone; asked again, the reference gives the same logits."""
    reference = load_reference(tiny_run.checkpoint, generates=False)
    encoded = reference.encode(["where is my parcel?", "refund order 17"])
    before, weights = reference.run(encoded), weakref.ref(reference.model)
    reference.release()
    assert weights() is None
    np.testing.assert_array_equal(np.asarray(reference.run(encoded)), np.asarray(before))
