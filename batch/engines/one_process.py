"""Blocks answered one after the other, by this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from batch.part_writer import PartWriter
from batch.parts import Parts
from batch.plan import Block, Job, Options
from serving.inference.predictor import Predictor


class OneProcess:
    def __init__(self, predictor: Predictor, options: Options) -> None:
        self._predictor, self._options = predictor, options

    def __call__(self, parts: Parts, job: Job, blocks: Sequence[Block], on_rows: Callable[[int], None]) -> None:
        paths = [self._options.path_of(source.name) for source in job.sources]
        write = PartWriter(parts, job, self._predictor, paths)
        for block in blocks:
            write(block, on_rows)
