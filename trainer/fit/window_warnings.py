"""Where texts are read in windows: whether any text needs more than one."""

from __future__ import annotations

from trainer.fit.batches import Examples
from trainer.fit.encoding import encode_blocks
from trainer.setup.training_setup import TrainingSetup


def window_warnings(setup: TrainingSetup, train: Examples) -> list[str]:
    """None where texts are truncated, or entities or answers are searched."""
    if setup.training_task.aggregation is None:
        return []
    if train.most_windows() == 1:
        return [_describe(setup, "training", "data.long_text: windows changes nothing; leave it out")]
    if not _test_has_several(setup):
        return [_describe(setup, "test", "neither the score nor the proof is about such texts")]
    return []


def _test_has_several(setup: TrainingSetup) -> bool:
    blocks = encode_blocks(setup.training_task, setup.task, setup.tokenizer, setup.splits.test)
    return any(len(each.windows) > 1 for block in blocks for each in block.encoded)


def _describe(setup: TrainingSetup, rows: str, consequence: str) -> str:
    tokens = setup.tokenizer.model_max_length
    return f"no {rows} text is longer than a window (data.max_length: {tokens} tokens): {consequence}"
