"""What the table of servers says: each of ours beside the bare runtime, the best torch peer, and BentoML's services.

A ratio is taken within each round, where both met the same noise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.ceiling import Ceiling
from bench.figures import Asked, Figure, ServerFigures, median_of
from bench.systems import Kind, System

ASKED_OF_RAW = {"tuneship serve": Asked("≥", 0.90), "tuneship in BentoML": Asked("≥", 0.80)}
ASKED_TORCH = Asked("≥", 5.5)
ASKED_ONNXRUNTIME = Asked("≥", 2.4)
ASKED_ERRORS = Asked("≤", 0.0)

Rows = Mapping[str, ServerFigures]


def compare(systems: Sequence[System], ceilings: Sequence[Ceiling], rows: Rows, connections: int) -> list[Figure]:
    """The figures of the servers that were measured. The bounds on peers are int8's; ``fp32`` is shown beside."""
    here = [system for system in systems if system.name in rows]
    own = [system for system in here if system.kind is Kind.ours]
    return [
        *(figure for system in own for figure in _beside_raw(system, ceilings, rows, connections)),
        *(figure for system in own for figure in _beside_torch(system, here, rows)),
        *(figure for system in own for figure in _beside_onnxruntime(system, here, rows)),
        _errors([rows[system.name] for system in own]),
        *(_agreement(rows[system.name]) for system in here if system.kind in (Kind.torch, Kind.onnxruntime)),
    ]


def ratios(mine: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Round by round."""
    return [one / other for one, other in zip(mine, theirs, strict=True)]


def _beside_raw(system: System, ceilings: Sequence[Ceiling], rows: Rows, connections: int) -> list[Figure]:
    """The bound is on the runtime with as many texts in hand as the server can have: one a connection."""
    kind = system.name.split(",")[0]
    return [
        median_of(
            f"{system.name} ÷ {ceiling.name}",
            ratios(rows[system.name].rate, rows[ceiling.name].rate),
            "×",
            ASKED_OF_RAW.get(kind) if ceiling.in_hand == connections else None,
        )
        for ceiling in ceilings
        if ceiling.variant == system.variant and ceiling.name in rows
    ]


def _beside_torch(system: System, here: Sequence[System], rows: Rows) -> list[Figure]:
    rates = [rows[each.name].rate for each in here if each.kind is Kind.torch]
    if not rates:
        return []
    best = [max(each) for each in zip(*rates, strict=True)]
    asked = ASKED_TORCH if system.variant == "int8" else None
    return [median_of(f"{system.name} ÷ best torch peer", ratios(rows[system.name].rate, best), "×", asked)]


def _beside_onnxruntime(system: System, here: Sequence[System], rows: Rows) -> list[Figure]:
    asked = ASKED_ONNXRUNTIME if system.variant == "int8" else None
    return [
        median_of(f"{system.name} ÷ {each.name}", ratios(rows[system.name].rate, rows[each.name].rate), "×", asked)
        for each in here
        if each.kind is Kind.onnxruntime
    ]


def _errors(servers: Sequence[ServerFigures]) -> Figure:
    total = sum(sum(server.errors.values()) for server in servers)
    note = "; ".join(f"{server.name}: {server.errors}" for server in servers if server.errors)
    return Figure("our answers wrong or missing", float(total), "", ASKED_ERRORS, note=note)


def _agreement(peer: ServerFigures) -> Figure:
    right = 100 * (1 - peer.errors.get("wrong label", 0) / sum(peer.answered))
    return Figure(f"{peer.name}: labels as fp32's", right, "%")
