"""Labels spread along near texts: further than the nearest example sees, and no further than the guesses allow."""

from __future__ import annotations

import numpy as np

from trainer.fit.label_spreading import Floats, spread_labels

DEGREES = np.pi / 180


def at(*degrees: float) -> Floats:
    """Texts on a circle, as vectors of length 1."""
    angles = np.array(degrees, dtype=np.float32) * np.float32(DEGREES)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def unsure(count: int) -> Floats:
    """Guesses of nothing."""
    return np.full((count, 2), 0.5, dtype=np.float32)


def test_a_label_goes_from_text_to_text() -> None:
    """A chain of texts has the label of its one example, though that of another group is nearer to its end."""
    chain, group = np.arange(1, 60), np.arange(75, 90)
    shares = spread_labels(at(0, 75.5, *chain, *group), [0, 1], unsure(len(chain) + len(group)))
    assert (shares[: len(chain)].argmax(axis=1) == 0).all()
    assert (shares[len(chain) :].argmax(axis=1) == 1).all()
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)


def test_what_no_example_reaches_keeps_its_guess() -> None:
    """A group apart from the examples has the label that its texts are guessed to have, the outlier's too."""
    near, apart = np.arange(1, 10), np.arange(180, 200)
    guesses = unsure(len(near) + len(apart))
    guesses[len(near) :] = (0.1, 0.9)
    guesses[-1] = (0.9, 0.1)
    shares = spread_labels(at(0, 5, *near, *apart), [0, 0], guesses)
    assert (shares.argmax(axis=1) == [0] * len(near) + [1] * len(apart)).all()


def test_fewer_texts_than_neighbours() -> None:
    """Three texts are each other's neighbours."""
    shares = spread_labels(at(0, 90, 10), [0, 1], unsure(1))
    assert shares.shape == (1, 2)
    assert shares[0, 0] > shares[0, 1]
