"""The sections of a model card, each a piece of Markdown; no figure in them that is not in a file of the bundle."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from serving.bundle.manifest import Manifest
from serving.tasks import TASKS
from trainer.metrics.display import PERCENT, format_score, metric_title

Record = dict[str, Any]


def sections(manifest: Manifest, parity: Record, search: Record) -> str:
    """The card's text, in order."""
    parts = (
        _head(manifest, parity),
        _use(manifest),
        _data(manifest),
        _training(manifest),
        _metrics(parity),
        _proof(manifest, parity),
        _variants(search),
        _limits(manifest),
        _labels(manifest.labels),
    )
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(manifest: Manifest, parity: Record) -> str:
    base, metric = manifest.model.get("id", "a base model"), parity["metric"]
    intended = manifest.card.get("intended_use")
    return "\n\n".join(
        [
            f"# {manifest.name}",
            f"{_name(manifest.task)}, fine-tuned from `{base}`, served as {manifest.graph.variant} ONNX. "
            f"Test {metric_title(metric)} as served: "
            f"**{format_score(metric, parity['score'])}** on {parity['rows']:,} rows.",
            *([intended] if intended else []),
        ]
    )


def _use(manifest: Manifest) -> str:
    example = json.dumps(_example(TASKS[manifest.task](manifest.labels, _settings(manifest), manifest.limits)))
    return (
        "## Use\n\n```sh\n"
        "tuneship verify BUNDLE              # every hash, and the golden answers on this machine\n"
        f"tuneship serve BUNDLE --port 3000   # then: POST /predict {example}\n```"
    )


def _data(manifest: Manifest) -> str:
    splits = dict(sorted(manifest.data.get("splits", {}).items(), key=lambda item: _place(item[0])))
    rows = [
        [name, f"{split['rows']:,}", f"`{split['sha256'][:16]}`"] for name, split in splits.items() if "sha256" in split
    ]
    stated = manifest.card.get("dataset")
    first = f"Data set: {stated}. " if stated else ""
    return f"## Data\n\n{first}Fingerprints are the first 16 digits of the rows' sha256; the manifest has all.\n\n" + (
        _table(["split", "rows", "sha256"], rows)
    )


def _training(manifest: Manifest) -> str:
    facts = manifest.training
    if not facts:
        return ""
    machine, seconds = facts["hardware"], facts["seconds"]
    accelerator = machine.get("accelerator") or "no accelerator"
    chosen = [[f"`{key}`", f"`{value}`"] for key, value in sorted(_flat(facts["recipe"]))]
    return (
        f"## Training\n\n{sum(seconds.values()):,.0f} seconds in all, {seconds.get('training', 0):,.0f} of them "
        f"training, on {machine['cpu']} ({machine['threads']} threads, {accelerator}).\n\n"
        + _table(["recipe key", "value"], chosen)
    )


def _metrics(parity: Record) -> str:
    metric, change = parity["metric"], parity["change"]
    low, high = (format_score(metric, each) for each in change["served_interval_95"])
    rows = [
        [f"test {metric_title(metric)}, as served", format_score(metric, parity["score"]), f"{low} – {high}"],
        [f"test {metric_title(metric)}, as trained", format_score(metric, parity["reference_score"]), ""],
        ["change", *_change(metric, change)],
    ]
    if parity["calibration"]:
        ece = parity["calibration"]
        rows += [["calibration error, as served", f"{ece['served_ece']:.4f}", ""]]
    return (
        "## Metrics\n\n"
        + _table(["figure", "value", "95 % interval"], rows)
        + (f"\n\nIntervals: {change['resamples']:,} seeded resamples of the test rows, in pairs for the change.")
    )


def _proof(manifest: Manifest, parity: Record) -> str:
    gates = [
        [gate["name"], f"{gate['measured']:.3g}", gate["accepted"], "holds" if gate["passed"] else "fails"]
        for gate in parity["gates"]
    ]
    flips, tokens, invariance = parity["flips"], parity["tokenizer"], parity["invariance"]
    share = flips["changed_share_95"][1]
    rows = [
        ["inputs compared, hard ones included", f"{parity['compared']:,}"],
        ["inputs with the trained checkpoint's answer", f"{parity['answers_equal']:,}"],
        ["test rows answered otherwise", f"{flips['changed']:,} (95 %: at most {share:.2%} of rows)"],
        *([["rows lost / won", f"{flips['lost']:,} / {flips['won']:,}"]] if flips["lost"] is not None else []),
        *([["McNemar's exact p", f"{flips['mcnemar_p']:.3g}"]] if flips["mcnemar_p"] is not None else []),
        ["answers compared beside other neighbours", f"{invariance['neighbours']['comparisons']:,}"],
        ["answers compared with more padding", f"{invariance['padding']['comparisons']:,}"],
        ["generated hard strings tokenised on both sides", f"{tokens['compared']:,}"],
    ]
    alone = "" if manifest.graph.row_independent else " Each row is run alone, so that no other row can change it."
    verdict = "passed" if parity["passed"] else "failed"
    machine = manifest.proven_on
    return (
        f"## Proof\n\n{verdict.capitalize()}, on {machine['cpu']} ({machine['architecture']}): the bundle's own files "
        f"in serving's own code, against transformers' tokenizer and the torch checkpoint.{alone}\n\n"
        + _table(["gate", "measured", "accepted", ""], gates)
        + "\n\n"
        + _table(["figure", "value"], rows)
    )


def _variants(search: Record) -> str:
    if not search:
        return ""
    rows = [
        [
            each["variant"] + (" (served)" if each["variant"] == search["chosen"] else ""),
            f"{each['bytes'] / 1e6:.1f} MB" if each["bytes"] else "",
            f"{each['speed']['ratio']:.2f} ×" if each["speed"] else "",
            f"{each['answers_equal']:,} of {each['compared']:,}" if each["compared"] else "",
            each.get("rows") or "",
            "holds" if each["holds"] else each["reason"],
        ]
        for each in search["candidates"]
    ]
    figure = f"\n\n![size, speed and quality of the variants]({search['figure']})" if "figure" in search else ""
    return (
        "## Variants\n\n"
        + _table(["variant", "size", "speed", "equal answers", "of rows", "verdict"], rows)
        + f"{figure}\n\nAsked: {search['asked']}. Speed: {search['speed']}."
    )


def _limits(manifest: Manifest) -> str:
    limits, tokens = manifest.limits, manifest.tokenizer.max_length
    uses_windows = TASKS[manifest.task].uses_windows
    long = f"are read through overlapping windows of {tokens}" if uses_windows else f"are cut at {tokens}"
    stated = manifest.card.get("limitations")
    listed = [
        f"Texts that have more tokens than a window {long} tokens.",
        f"A request holds at most {limits.max_inputs:,} inputs of {limits.max_characters:,} characters each; past that "
        "it is refused, never cut.",
        "The figures are those of rows like the test rows; other texts may fare otherwise.",
        "`golden.jsonl` holds answers to some of the test rows, in words.",
        *([stated] if stated else []),
    ]
    return "## Limits\n\n" + "\n".join(f"- {each}" for each in listed)


def _labels(labels: Sequence[str]) -> str:
    return "## Labels\n\n" + "\n".join(f"- {label}" for label in labels) if labels else ""


def _place(split: str) -> tuple[int, str]:
    """Training rows first, test rows last."""
    return ("train", "validation", "test").index(split) if split in ("train", "validation", "test") else 3, split


def _change(metric: str, change: Record) -> list[str]:
    factor, unit = (100, " points") if metric in PERCENT else (1, "")
    at, low, high = (f"{factor * change[key]:+.3g}" for key in ("change", "low", "high"))
    return [f"{at}{unit}", f"{low} to {high}{unit}"]


def _flat(values: Record, before: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *([_cell(each) for each in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(str(text).replace("|", "\\|").split())


def _name(task: str) -> str:
    return task.replace("-", " ").capitalize()


def _settings(manifest: Manifest) -> Any:
    return TASKS[manifest.task].settings_type.model_validate(manifest.settings)


def _example(task: Any) -> Record:
    """A request in the task's own shape."""
    keys = list(task.input_schema().get("properties", {}))
    return {"inputs": {key: f"a {key.replace('_', ' ')}" for key in keys} if keys else "a text"}
