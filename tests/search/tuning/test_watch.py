"""A trial is ended as soon as its steps show that it would not end in time."""

from __future__ import annotations

from collections.abc import Callable
from unittest import mock

import pytest
from transformers import TrainerControl, TrainerState, TrainingArguments

from search.tuning.watch import Deadline, TooSlow


def steps(watch: Deadline, count: int, *, of: int, seconds: float) -> int:
    """Run ``count`` steps of a training of ``of``, each so long; returns how many were run."""
    state, control, arguments = TrainerState(max_steps=of), TrainerControl(), mock.Mock(spec=TrainingArguments)
    with mock.patch("search.tuning.watch.time.monotonic") as clock:
        clock.return_value = 0.0
        watch.on_train_begin(arguments, state, control)
        for step in range(1, count + 1):
            state.global_step, clock.return_value = step, step * seconds
            if end := ended_by(lambda: watch.on_step_end(arguments, state, control)):
                assert end.seconds == pytest.approx(of * seconds)
                return step
    return count


def ended_by(call: Callable[[], None]) -> TooSlow | None:
    """What a call raised, if it did."""
    try:
        call()
    except TooSlow as error:
        return error
    return None


def test_a_training_that_ends_in_time_is_left_alone() -> None:
    """All its steps are run."""
    assert steps(Deadline(100.0), 50, of=50, seconds=1.9) == 50


def test_one_that_cannot_is_ended_after_a_few_steps() -> None:
    """Rather than at the deadline."""
    assert steps(Deadline(100.0), 50, of=50, seconds=4.0) == 10


def test_the_deadline_ends_one_that_seemed_to_be_in_time() -> None:
    """A step that takes long is not waited for twice."""
    assert steps(Deadline(100.0), 5, of=5, seconds=40.0) == 3
