"""Files answered by a loaded bundle, as `tuneship predict` does it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from batch.answers import Tally
from batch.command import Opened, Request, answer, choose_options, choose_output
from batch.engines.one_process import OneProcess
from serving.inference.predictor import Predictor
from serving.observability.progress import Progress, report_to


def predict_file(
    predictor: Predictor,
    source: Path | str,
    target: Path | str,
    on_progress: Callable[[int], None] = lambda _: None,
    *,
    restart: bool = False,
    **asked: Any,
) -> Tally:
    """Answer a file in this process; ``asked`` are further options of the command."""

    class Rows(Progress):
        def advance(self, count: int) -> None:
            on_progress(count)

    request = Request("bundle", str(source), str(target), **asked)
    output = choose_output(request)
    options = choose_options(request, output, {})
    opened = Opened(predictor.bundle.digest, predictor.task, OneProcess(predictor, options))
    with report_to(Rows()):
        return answer(request, output, options, opened, restart=restart)
