"""What a training took beside its forecast, for the report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Table = tuple[Sequence[str], Sequence[Sequence[str]]]

_NONE = "–"


def cost_table(record: dict[str, Any]) -> Table:
    """Of a run that was resumed, the forecast alone: nobody measured the whole."""
    told, spent = record.get("forecast") or {}, record.get("spent") or {}
    stages = list(told.get("seconds", record["seconds"]))
    rows = [[f"{stage} time", _seconds(told, stage), _seconds(record if spent else {}, stage)] for stage in stages]
    rows += [["peak memory", _gigabytes(told), _gigabytes(spent)], ["energy", _energy(told), _energy(spent)]]
    rows += [[name, _NONE, value] for name, value in _sizes(record["size"])]
    return ["", "forecast", "measured"], rows


def _sizes(size: dict[str, int]) -> list[tuple[str, str]]:
    return [("parameters", f"{size['parameters']:,}"), ("checkpoint", f"{size['checkpoint_bytes'] / 1e6:.0f} MB")]


def cost_note(record: dict[str, Any]) -> str:
    """How precision and threads were chosen."""
    machine = record["machine"]
    timings = "; ".join(_describe(timing) for timing in machine["timings"])
    chosen = f"Computed in {_name(machine)}: {machine['reason']} ({timings})."
    return chosen if record.get("spent") else f"{chosen} The run was resumed, so that its whole cost was not measured."


def _describe(timing: dict[str, Any]) -> str:
    pace = timing["problem"] or f"{timing['seconds_per_step']:.3g} s a step"
    return f"{_name(timing)}: {pace}"


def _name(choice: dict[str, Any]) -> str:
    threads = f"{choice['threads']} thread{'s' * (choice['threads'] > 1)}"
    return f"{'bf16' if choice['bf16'] else 'fp32'} with {threads}"


def _seconds(told: dict[str, Any], stage: str) -> str:
    return f"{told['seconds'][stage]:.1f} s" if told else _NONE


def _gigabytes(told: dict[str, Any]) -> str:
    return f"{told['memory'] / 1e9:.2f} GB" if told else _NONE


def _energy(told: dict[str, Any]) -> str:
    if not told:
        return _NONE
    return f"{told['joules'] / 3600:.2g} Wh" if told["joules"] is not None else "not readable"
