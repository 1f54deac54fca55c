"""The bundle's README.md: a model card in the Hugging Face format, each figure from the manifest or the proof."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from export.proof.parity import Parity
from serving.bundle import Manifest
from serving.tasks import TASKS
from trainer.scores.shown import readable, shown

TEMPLATE = """\
---
pipeline_tag: {task}
library_name: onnx
base_model: {base_model}
tags: [tuneship, onnx, {variant}]
model-index:
  - name: {name}
    results:
      - task: {{type: {task}}}
        dataset: {{name: held-out test set, type: private}}
        metrics: [{{type: {metric}, value: {score:.6f}}}]
---

# {name}

{task}, fine-tuned from `{base_model}`, served as {variant} ONNX.

| figure | value |
| --- | --- |
| test {readable}, as served | {served} |
| test {readable} of the trained checkpoint | {trained} |
| test rows, inputs compared (hard ones included) | {rows}, {compared} |
| inputs with equal token ids | {token_ids_equal} |
| inputs with equal answers | {answers_equal} |
| largest logit difference | {largest:.2g} |
| largest logit change by batch neighbours | {alone:.2g} |
| proof | {verdict} |

Proven on {cpu} ({architecture}). {length}
{labels}
## Use

```sh
tuneship verify BUNDLE              # every hash, and the golden answers on this machine
tuneship serve BUNDLE --port 3000   # then: POST /predict {{"inputs": "a text"}}
```
"""


def write_card(manifest: Manifest, parity: Parity, path: Path) -> None:
    """Write the card of a proven bundle."""
    path.write_text(
        TEMPLATE.format(
            task=manifest.task,
            base_model=manifest.model.get("id", "unknown"),
            variant=manifest.graph.variant,
            name=manifest.name,
            metric=parity.metric,
            score=parity.score,
            readable=readable(parity.metric),
            served=shown(parity.metric, parity.score),
            trained=shown(parity.metric, parity.reference_score),
            rows=parity.rows,
            compared=parity.compared,
            token_ids_equal=parity.token_ids_equal,
            answers_equal=parity.answers_equal,
            largest=parity.max_abs_logit_difference,
            alone=parity.invariance.neighbours.max_abs_logit_change,
            verdict="passed" if parity.passed else "failed",
            cpu=manifest.proven_on["cpu"],
            architecture=manifest.proven_on["architecture"],
            length=_length(manifest),
            labels=_labels(manifest.labels),
        ),
        encoding="utf-8",
    )


def _length(manifest: Manifest) -> str:
    tokens = manifest.tokenizer.max_length
    if TASKS[manifest.task].slides:
        return f"Texts longer than {tokens} tokens are read through overlapping windows."
    return f"Texts are truncated to {tokens} tokens."


def _labels(labels: Sequence[str]) -> str:
    listed = "\n".join(f"- {label}" for label in labels)
    return f"\n## Labels\n\n{listed}\n" if labels else ""
