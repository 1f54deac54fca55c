"""Ratios of the servers' rates, within each round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.bare_runtime_process import BareRuntimeProcess
from bench.figures import Figure, ServerFigures, median_of
from bench.systems import Kind, System

Rows = Mapping[str, ServerFigures]


def compare(systems: Sequence[System], runtimes: Sequence[BareRuntimeProcess], rows: Rows) -> list[Figure]:
    measured = [system for system in systems if system.name in rows]
    own = [system for system in measured if system.kind is Kind.ours]
    return [
        *(figure for system in own for figure in _compare_with_runtime(system, runtimes, rows)),
        *(figure for system in own for figure in _compare_with_torch(system, measured, rows)),
        *(_ratio(system.name, peer.name, rows) for system in own for peer in measured if peer.kind is Kind.onnxruntime),
        count_errors("our answers wrong or missing", [rows[system.name] for system in own]),
        *(_agreement(rows[system.name]) for system in measured if system.kind in (Kind.torch, Kind.onnxruntime)),
    ]


def ratios(left: Sequence[float], right: Sequence[float]) -> list[float]:
    """Round by round."""
    return [a / b for a, b in zip(left, right, strict=True)]


def count_errors(name: str, servers: Sequence[ServerFigures]) -> Figure:
    """All wrong or missing answers."""
    total = sum(sum(server.errors.values()) for server in servers)
    note = "; ".join(f"{server.name}: {server.errors}" for server in servers if server.errors)
    return Figure(name, float(total), "", correct=0.0, note=note)


def _compare_with_runtime(system: System, runtimes: Sequence[BareRuntimeProcess], rows: Rows) -> list[Figure]:
    return [
        _ratio(system.name, runtime.name, rows)
        for runtime in runtimes
        if runtime.variant == system.variant and runtime.name in rows
    ]


def _ratio(name: str, other: str, rows: Rows) -> Figure:
    return median_of(f"{name} ÷ {other}", ratios(rows[name].rate, rows[other].rate), "×")


def _compare_with_torch(system: System, measured: Sequence[System], rows: Rows) -> list[Figure]:
    rates = [rows[each.name].rate for each in measured if each.kind is Kind.torch]
    if not rates:
        return []
    best = [max(each) for each in zip(*rates, strict=True)]
    return [median_of(f"{system.name} ÷ best torch peer", ratios(rows[system.name].rate, best), "×")]


def _agreement(peer: ServerFigures) -> Figure:
    percent = 100 * (1 - peer.errors.get("wrong label", 0) / sum(peer.answered))
    return Figure(f"{peer.name}: labels as fp32's", percent, "%")
