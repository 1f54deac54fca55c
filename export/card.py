"""The bundle's README.md: a model card in the Hugging Face format, each figure from the manifest or the proof."""

from __future__ import annotations

from pathlib import Path

from export.parity import Parity
from serving.bundle import Manifest

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
        metrics: [{{type: accuracy, value: {accuracy:.6f}}}]
---

# {name}

{task}, {labels} labels, fine-tuned from `{base_model}`, served as {variant} ONNX.

| figure | value |
| --- | --- |
| test accuracy, as served | {accuracy:.2%} |
| test accuracy of the trained checkpoint | {reference_accuracy:.2%} |
| rows compared (test set + hard inputs) | {rows} + {hard_inputs} |
| rows with equal token ids | {token_ids_equal} |
| rows with equal labels | {labels_equal} |
| largest logit difference | {largest:.2g} |
| largest logit change by batch neighbours | {alone:.2g} |
| proof | {verdict} |

Proven on {cpu} ({architecture}). Texts are truncated to {max_length} tokens.

## Labels

{label_list}

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
            accuracy=parity.accuracy,
            labels=len(manifest.labels),
            reference_accuracy=parity.reference_accuracy,
            rows=parity.rows,
            hard_inputs=parity.hard_inputs,
            token_ids_equal=parity.token_ids_equal,
            labels_equal=parity.labels_equal,
            largest=parity.max_abs_logit_difference,
            alone=parity.max_abs_logit_difference_alone,
            verdict="passed" if parity.passed else "failed",
            cpu=manifest.proven_on["cpu"],
            architecture=manifest.proven_on["architecture"],
            max_length=manifest.tokenizer.max_length,
            label_list="\n".join(f"- {label}" for label in manifest.labels),
        ),
        encoding="utf-8",
    )
