"""A proven bundle as the folder that the ecosystem reads."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from export.bundle.card import render_card
from export.bundle.files import TOKENIZER
from export.bundle.hub.check import check_answers
from export.bundle.hub.configs import model_config, special_tokens, tokenizer_config
from export.bundle.hub.encoder_decoder import write_encoder_decoder
from export.bundle.hub.graph import Closing, data_name, write_hub_graph
from export.bundle.hub.notes import find_notes
from export.bundle.hub.usage import describe_usage
from serving.bundle.bundle import Bundle
from serving.bundle.manifest import CARD, Manifest
from serving.tasks import task_of
from serving.tasks.base import Task
from serving.tasks.generation import TextGeneration
from trainer.model.checkpoint import ModelSpec, read_task
from trainer.model.heads import GENERATING
from trainer.model.sentence_modules import MODULES

GRAPHS = {"fp32": "model.onnx", "int8": "model_quantized.onnx"}
"""By variant, the names under which transformers.js looks for dtype fp32 and q8."""

FROM_BUNDLE = (TOKENIZER, "golden*.jsonl", "parity*.json", "calibration.svg")
FROM_CHECKPOINT = ("chat_template.jinja", "generation_config.json")
WEIGHTS = "model*.safetensors*"
SENTENCE_FILES = (MODULES, "*sentence*.json", "[1-9]_*/*")


@dataclass(frozen=True)
class HubFolder:
    """Attributes:
    graphs: by variant.
    notes: where pipelines of others answer otherwise than the bundle.
    """

    root: Path
    graphs: dict[str, list[Path]]
    notes: list[str]


def write_hub(bundle: Bundle, checkpoint: Path, root: Path, left_out: str = "") -> HubFolder:
    """Write all files, and answer the golden rows as pipelines do.

    Args:
        bundle: opened; its graphs are its first variant and its fallbacks.
        checkpoint: that it was exported from.
        root: an empty folder.
        left_out: why there is no int8, if it was tried.

    Raises:
        HubCheckFailed: the folder does not answer as the bundle.
    """
    manifest, task, spec = bundle.manifest, task_of(bundle.manifest), read_task(checkpoint)[0]
    _copy_files(bundle.root, checkpoint, root, spec)
    graphs = _write_graphs(bundle, root / "onnx")
    config = model_config(checkpoint, spec, task, [path.name for path in chain(*graphs.values()) if _is_split(path)])
    _write_configs(root, config, checkpoint, spec, manifest, task)
    check_answers(bundle, root, {variant: paths[0] for variant, paths in graphs.items()})
    notes = find_notes(manifest, task, spec, left_out)
    usage = describe_usage(task, spec, config["model_type"], manifest.graph.inputs)
    card = render_card(
        manifest,
        bundle.root,
        "hub/card.md.jinja",
        library="transformers.js" if usage.javascript else "transformers",
        tags=["sentence-transformers"] if spec.head == "vector" else [],
        usage=usage,
        notes=notes,
        graphs=_list_graphs(bundle, graphs),
    )
    (root / CARD).write_text(card, encoding="utf-8")
    return HubFolder(root, graphs, notes)


def _copy_files(bundle: Path, checkpoint: Path, root: Path, spec: ModelSpec) -> None:
    """Weights only where transformers or sentence-transformers compute the same answers with them."""
    more = [WEIGHTS] if spec.head == "vector" or spec.head in GENERATING else []
    more += SENTENCE_FILES if spec.head == "vector" else ()
    for folder, patterns in ((bundle, FROM_BUNDLE), (checkpoint, (*FROM_CHECKPOINT, *more))):
        for path in (found for pattern in patterns for found in sorted(folder.glob(pattern))):
            target = root / path.relative_to(folder)
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(path, target)


def _write_graphs(bundle: Bundle, folder: Path) -> dict[str, list[Path]]:
    """By variant; an encoder-decoder that generates has two."""
    folder.mkdir()
    graphs, closing = {}, find_closing(bundle)
    for each in (bundle, *bundle.alternatives):
        graph = each.manifest.graph
        source, target = bundle.root / graph.file, folder / GRAPHS[graph.variant]
        if graph.decoder:
            graphs[graph.variant] = write_encoder_decoder(source, bundle.root / graph.decoder, folder, closing)
        else:
            write_hub_graph(source, target, task_of(each.manifest), closing)
            graphs[graph.variant] = [target]
    return graphs


def find_closing(bundle: Bundle) -> Closing | None:
    """What the tokenizer puts after a text that is cut off, where that is one token."""
    task = task_of(bundle.manifest)
    if task.is_pair or task.uses_windows or isinstance(task, TextGeneration):
        return None
    encoding = Tokenizer.from_buffer(bundle.read(TOKENIZER)).encode("a text")
    if encoding.special_tokens_mask[-2:] != [0, 1]:
        return None
    return Closing(encoding.ids[-1], bundle.manifest.tokenizer.max_length)


def _list_graphs(bundle: Bundle, graphs: dict[str, list[Path]]) -> list[dict[str, Any]]:
    return [
        {
            "name": path.name,
            "variant": each.manifest.graph.variant,
            "bytes": sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*")),
            "score": each.manifest.verdict.score,
        }
        for each in (bundle, *bundle.alternatives)
        for path in graphs[each.manifest.graph.variant]
    ]


def _is_split(graph: Path) -> bool:
    return graph.with_name(data_name(graph.name)).exists()


def _write_configs(
    root: Path, config: dict[str, Any], checkpoint: Path, spec: ModelSpec, manifest: Manifest, task: Task
) -> None:
    tokenizer = tokenizer_config(checkpoint, manifest.tokenizer, task)
    configs = {"config.json": config, "tokenizer_config.json": tokenizer}
    configs["special_tokens_map.json"] = special_tokens(tokenizer)
    for name, content in configs.items():
        (root / name).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
