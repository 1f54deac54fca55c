"""Do pipelines of others answer the golden rows as the bundle does?

They read the graph's outputs as the task does without the settings that the graph applies.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from export.bundle.hub.graph import FOLDED, SURELY
from serving.bundle.bundle import Bundle
from serving.bundle.manifest import GoldenRow
from serving.errors import UserError
from serving.inference.session import onnxruntime
from serving.inference.tokenization import Tokenization, load_tokenization
from serving.tasks import task_of
from serving.tasks.base import Encoded, Logits

Outputs = Mapping[str, np.ndarray[Any, Any]]


class HubCheckFailed(UserError):
    """Nothing was written."""


def check_answers(bundle: Bundle, root: Path, graphs: Mapping[str, Path]) -> int:
    """Compare with the recorded answers.

    Args:
        bundle: with its fallbacks.
        root: the folder with the tokenizer's files.
        graphs: by variant.

    Returns:
        How many golden rows were not compared, because they are read in several windows.
    """
    tokenizer = AutoTokenizer.from_pretrained(root, local_files_only=True)
    tokenization = load_tokenization(bundle, task_of(bundle.manifest))
    for each in (bundle, *bundle.alternatives):
        checker = _Checker(each, tokenizer, tokenization, graphs.get(each.manifest.graph.variant))
        for number, row in enumerate(each.golden, 1):
            if len(row.input_ids) == 1:
                checker.check(row, f"{each.manifest.golden.file}, row {number}")
    return sum(len(row.input_ids) > 1 for row in bundle.golden)


class _Checker:
    def __init__(
        self, bundle: Bundle, tokenizer: PreTrainedTokenizerFast, tokenization: Tokenization, graph: Path | None
    ) -> None:
        self.task = task_of(bundle.manifest)
        folded = self.task.settings.model_copy(update=FOLDED.get(self.task.name, {}))
        self.reader = type(self.task)(self.task.labels, folded, self.task.limits)
        self.manifest, self.tokenizer, self.tokenization = bundle.manifest, tokenizer, tokenization
        decides = graph is not None and self.task.name in FOLDED
        self.session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"]) if decides else None

    def check(self, row: GoldenRow, where: str) -> None:
        """Raises HubCheckFailed."""
        item = self.task.check(row.inputs)
        segments = self.task.segments(item)
        texts = (segments,) if isinstance(segments, str) else segments
        tokens = self.tokenizer(*texts, truncation=self.task.truncation, return_tensors="np")
        if tokens["input_ids"][0].tolist() != row.input_ids[0]:
            raise HubCheckFailed(
                f"{where}: transformers' tokenizer gives other tokens than the bundle's; nothing was written"
            )
        if self.session is None:
            return
        names = [node.name for node in self.session.get_outputs()]
        feeds = {node.name: np.asarray(tokens[node.name], np.int64) for node in self.session.get_inputs()}
        outputs = dict(zip(names, self.session.run(names, feeds), strict=True))
        encoding = self.tokenization.encode([segments], self.task.truncation_side, offsets=True)[0].windows[0]
        answer = self.reader.decode(Encoded(item, [encoding]), [_read_logits(outputs)])
        if not self._equal(answer, row.outputs):
            raise HubCheckFailed(
                f"{where}: the {self.manifest.graph.variant} graph answers {answer} and the bundle {row.outputs};"
                " nothing was written"
            )

    def _equal(self, answer: Any, recorded: Any) -> bool:
        if self.reader.decision(answer) != self.task.decision(recorded):
            return False
        most = self.manifest.golden.tolerance * getattr(self.task.settings, "std", 1.0)
        pairs = zip(_scores(answer), _scores(recorded), strict=True)
        return all(abs(ours - theirs) <= most or _shows_the_side_alone(ours) for ours, theirs in pairs)


def _read_logits(outputs: Outputs) -> Logits:
    """Of one window, as serving has them."""
    if "start_logits" in outputs:
        return np.stack([outputs["start_logits"][0], outputs["end_logits"][0]], axis=-1)
    found = outputs.get("logits", outputs.get("sentence_embedding"))
    assert found is not None
    return np.atleast_1d(found[0])


def _scores(answer: Any) -> list[float]:
    """In the answer's order, but labels by name: a threshold may put the smaller score first."""
    parts = answer if isinstance(answer, list) else [answer]
    if parts and isinstance(parts[0], float):
        return parts
    return [part["score"] for part in sorted(parts, key=lambda part: str(part.get("label", "")))]


def _shows_the_side_alone(score: float) -> bool:
    return abs(score - 0.5) < SURELY
