"""The mutation table: what a wrong graph would have to do to pass the proof as an approximate variant.

    python -m tests.mutations     proves every mutation of every task's graph and writes the table into docs/proof.md

Each task's toy (`tests.toys`) is trained and converted; its fp32 graph or its manifest is then altered and proven by
the recipe's default bounds, as int8 would be. A gate counts if it fails with the mutation, and does not without.
"""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
import onnx
from onnx import ModelProto, NodeProto, helper, numpy_helper

from export.bundle.files import hash_files
from export.variants.registry import Variant
from export.variants.simple import fp32
from export.workspace import BuiltVariant, Workspace
from trainer.run.run import Run

PAGE = Path(__file__).parent.parent / "docs" / "proof.md"
TABLE = re.compile(r"(<!-- mutation table: python -m tests.mutations -->\n).*?(<!-- end -->)", re.DOTALL)

TASKS = {
    "text-classification": "one of three labels",
    "two labels": "one of two labels",
    "multi-label-classification": "several labels",
    "token-classification": "entities",
    "answers or none": "answer or none",
    "regression": "number",
    "feature-extraction": "vector",
    "text-generation": "continued text",
    "text2text-generation": "text for text",
}
"""The toys, and what they answer."""

MARKS = {
    "share of equal answers": "A",
    "largest change of a probability": "P",
    "mean change of a probability": "p",
    "change of the calibration error": "E",
    "largest change of a number, in standard deviations": "N",
    "mean change of a number, in standard deviations": "n",
    "lowest cosine with the checkpoint's vector": "C",
    "mean cosine with the checkpoint's vector": "c",
    "largest relative change of a vector's length": "L",
    "mean relative change of a vector's length": "l",
    "mean word F1 with the checkpoint's text": "T",
}
METRIC, OTHER = "M", "O"
"""The metric's gate; those of tokens, neighbours and padding."""

PASSES = "passes"

FEWER = {
    "answers.hard_strings.STRINGS": 30,
    "checks.invariance.TOKENS_ALONE": 4000,
    "checks.invariance.TOKENS_COMPOSED": 2000,
}
"""Tokenizer and batches are as they were: a sample shows that their gates still hold."""

Floats = npt.NDArray[np.float32]
Mutate = Callable[["Subject"], BuiltVariant]


@dataclass(frozen=True)
class Subject:
    """A task's run, converted, with the unaltered graph as an approximate variant."""

    workspace: Workspace
    built: BuiltVariant

    @property
    def width(self) -> int:
        """Of the logits' last dimension."""
        return int(self.workspace.reference.logits(0)[0].shape[-1])

    @property
    def frequent_tokens(self) -> tuple[int, int]:
        """The two that most answers of the checkpoint have."""
        answers = [windows[0][0].token_ids for windows in self.workspace.reference.results]
        first, second = Counter(token for answer in answers for token in set(answer)).most_common(2)
        return first[0], second[0]

    def with_graph(self, change: Callable[[ModelProto], None]) -> BuiltVariant:
        """A copy whose graph of logits is changed in place."""
        folder = Path(tempfile.mkdtemp(dir=self.built.folder))
        for source in self.built.folder.iterdir():
            if source.is_file():
                (folder / source.name).write_bytes(source.read_bytes())
        path = folder / self.built.graph_files[-1]
        model = onnx.load(str(path))
        change(model)
        onnx.save(model, str(path))
        manifest = self.built.manifest.model_copy(update={"files": hash_files(folder)})
        return replace(self.built, folder=folder, manifest=manifest)

    def with_settings(self, **settings: Any) -> BuiltVariant:
        manifest = self.built.manifest
        return replace(self.built, manifest=manifest.model_copy(update={"settings": manifest.settings | settings}))


def logits_through(*nodes: NodeProto, **constants: Any) -> Callable[[ModelProto], None]:
    """The logits are computed by ``nodes`` from ``own``, the graph's own logits."""

    def change(model: ModelProto) -> None:
        for node in model.graph.node:
            node.output[:] = ["own" if name == "logits" else name for name in node.output]
        model.graph.initializer.extend(
            numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()
        )
        model.graph.node.extend(nodes)

    return change


def times(factor: float) -> Mutate:
    node = helper.make_node("Mul", ["own", "factor"], ["logits"])
    return lambda subject: subject.with_graph(logits_through(node, factor=np.float32(factor)))


def affine(subject: Subject) -> BuiltVariant:
    nodes = (
        helper.make_node("Mul", ["own", "factor"], ["scaled"]),
        helper.make_node("Add", ["scaled", "more"], ["logits"]),
    )
    return subject.with_graph(logits_through(*nodes, factor=np.float32(1.7), more=np.float32(0.7)))


def reordered(subject: Subject, order: list[int]) -> BuiltVariant:
    node = helper.make_node("Gather", ["own", "order"], ["logits"], axis=-1)
    return subject.with_graph(logits_through(node, order=np.array(order)))


def permuted(subject: Subject) -> BuiltVariant:
    return reordered(subject, list(range(subject.width))[::-1])


def swapped(subject: Subject) -> BuiltVariant:
    """Two labels, dimensions or tokens."""
    generates = subject.built.manifest.task.endswith("generation")
    first, second = subject.frequent_tokens if generates else (0, 1)
    order = list(range(subject.width))
    order[first], order[second] = second, first
    return reordered(subject, order)


def raised(subject: Subject) -> BuiltVariant:
    """One label's, dimension's or token's logit."""
    generates = subject.built.manifest.task.endswith("generation")
    more = np.zeros(subject.width, dtype=np.float32)
    more[subject.frequent_tokens[1] if generates else 1] = 10.0
    node = helper.make_node("Add", ["own", "more"], ["logits"])
    return subject.with_graph(logits_through(node, more=more))


def renamed(subject: Subject) -> BuiltVariant:
    """The manifest's first two entity types or labels change places; the graph is as it was."""
    manifest = subject.built.manifest
    first, second, *others = manifest.labels
    if first == "O":
        names = {"PER": "LOC", "LOC": "PER"}
        labels = [f"{label[:2]}{names[label[2:]]}" if label[2:] in names else label for label in manifest.labels]
    else:
        labels = [second, first, *others]
    return replace(subject.built, manifest=manifest.model_copy(update={"labels": labels}))


def shifted(subject: Subject) -> BuiltVariant:
    """Each token has the logits of the one before it."""
    nodes = (
        helper.make_node("Slice", ["own", "zero", "one", "axis"], ["first"]),
        helper.make_node("Slice", ["own", "zero", "last", "axis"], ["others"]),
        helper.make_node("Concat", ["first", "others"], ["logits"], axis=1),
    )
    numbers = {"zero": [0], "one": [1], "last": [-1], "axis": [1]}
    return subject.with_graph(logits_through(*nodes, **{name: np.array(value) for name, value in numbers.items()}))


def noisy(size: float) -> Mutate:
    """Every weight matrix gets normal noise of ``size`` times its own deviation."""

    def change(model: ModelProto) -> None:
        random = np.random.default_rng(0)
        for each in model.graph.initializer:
            if len(each.dims) == 2 and each.data_type == onnx.TensorProto.FLOAT:
                weight = numpy_helper.to_array(each)
                noise = random.standard_normal(weight.shape) * weight.std() * size
                each.CopyFrom(numpy_helper.from_array((weight + noise).astype(np.float32), each.name))

    return lambda subject: subject.with_graph(change)


def threshold_moved(subject: Subject) -> BuiltVariant:
    settings = subject.built.manifest.settings
    if "thresholds" in settings:
        return subject.with_settings(thresholds=[0.02] * len(settings["thresholds"]))
    if "outside_bias" in settings:
        return subject.with_settings(outside_bias=settings["outside_bias"] + 20.0)
    if settings.get("no_answer_threshold") is not None:
        return subject.with_settings(no_answer_threshold=settings["no_answer_threshold"] - 20.0)
    return subject.with_settings(threshold=0.999)


NOISE = (0.001, 0.01, 0.1, 1.0)
LABELS = ("text-classification", "two labels", "multi-label-classification", "token-classification")
GENERATING = ("text-generation", "text2text-generation")

MUTATIONS: Mapping[str, tuple[Mutate, tuple[str, ...]]] = {
    "affine: 1.7 × logits + 0.7": (affine, tuple(TASKS)),
    "sharpened: 3 × logits": (times(3.0), tuple(TASKS)),
    "flattened: logits ÷ 3": (times(1 / 3), tuple(TASKS)),
    "head dropped: logits of 0": (times(0.0), tuple(TASKS)),
    "all labels, dimensions or tokens permuted": (permuted, tuple(task for task in TASKS if task != "regression")),
    "two of them swapped": (swapped, tuple(task for task in TASKS if task != "regression")),
    "one of them raised by 10": (raised, (*LABELS, "feature-extraction", *GENERATING)),
    "labels' names swapped in the manifest": (renamed, LABELS),
    "spans shifted by one token": (shifted, ("token-classification", "answers or none")),
    "threshold moved": (threshold_moved, (*LABELS[1:], "answers or none")),
    **{f"noise of {size:.1%} of the weights' deviation": (noisy(size), tuple(TASKS)) for size in NOISE},
}
"""Each with the tasks that have it."""


def measure(run: Run, toy: str) -> dict[str, str]:
    """The marks of the gates that catch each mutation, or PASSES, by mutation."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for name, most in FEWER.items():
            stack.enter_context(mock.patch(f"export.proof.{name}", most))
        workspace = stack.enter_context(Workspace.open(run, 1))
        subject = Subject(workspace, workspace.build(Variant("mutated", "an altered graph", fp32), folder))
        sound = failed_gates(subject, subject.built)
        return {
            name: _mark(failed_gates(subject, mutate(subject)) - sound)
            for name, (mutate, tasks) in MUTATIONS.items()
            if toy in tasks
        }


def failed_gates(subject: Subject, built: BuiltVariant) -> set[str]:
    return {gate.name for gate in subject.workspace.prove(built).gates if gate.failed}


def _mark(failed: set[str]) -> str:
    marks = [mark for name, mark in MARKS.items() if name in failed]
    rest = failed - MARKS.keys()
    metric = [METRIC] if any(name.startswith("change of ") for name in rest) else []
    other = [OTHER] if any(not name.startswith("change of ") for name in rest) else []
    return " ".join([*marks, *metric, *other]) or PASSES


def to_markdown(cells: Mapping[str, Mapping[str, str]]) -> str:
    """``cells``: by toy and mutation."""
    lines = [["mutation", *TASKS.values()], ["---"] * (1 + len(TASKS))]
    lines += [[name, *(cells[toy].get(name, "") for toy in TASKS)] for name in MUTATIONS]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    others = {
        METRIC: "change of the metric",
        OTHER: "gates of every variant: tokens, batch neighbours, padding, decoding",
    }
    gates = {mark: name for name, mark in MARKS.items()} | others
    legend = "\n".join(f"| `{mark}` | {name} |" for mark, name in gates.items())
    return f"{table}\n\n| mark | gate |\n| --- | --- |\n{legend}\n"


def documented() -> dict[str, dict[str, str]]:
    """The cells of the table in docs/proof.md, by toy and mutation; without empty ones."""
    found = TABLE.search(PAGE.read_text(encoding="utf-8"))
    assert found, f"{PAGE} has lost the marks of its mutation table"
    rows = found[0].partition("\n\n")[0].splitlines()[1:]
    lines = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    return {
        toy: {cells[0]: cells[column] for cells in lines[2:] if cells[column]} for column, toy in enumerate(TASKS, 1)
    }


def main() -> None:
    from tests.bundles import _train
    from tests.tiny import make_backbone
    from tests.tiny_generators import BACKBONES

    cells = {}
    with tempfile.TemporaryDirectory() as folder:
        backbone = make_backbone(Path(folder) / "tiny-bert")
        for toy in TASKS:
            home = Path(folder) / toy.replace(" ", "-")
            home.mkdir()
            generates = toy in BACKBONES
            own = BACKBONES[toy](home / "backbone") if generates else backbone
            run = _train(toy, own, home, **({"training": {"num_train_epochs": 3}} if generates else {}))
            cells[toy] = measure(run, toy)
            print(toy, cells[toy])
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(TABLE.sub(lambda found: found[1] + to_markdown(cells) + found[2], page), encoding="utf-8")


if __name__ == "__main__":
    main()
