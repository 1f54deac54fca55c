"""What a caller of ``infer`` asks for besides the task's own parameters: which outputs, in which form, how soon."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from serving.errors import InputError, quote
from serving.tasks.strict_model import StrictModel

BINARY_OUTPUT = "binary_data_output"
"""The request's parameter that asks for every output in binary, see `BINARY` of one."""

BINARY = "binary_data"
"""The one parameter of an output."""

TIMEOUT = "timeout"
"""The request's parameter that says how long its caller waits, in microseconds, as Triton has it."""


class RequestedOutput(StrictModel):
    """One output that a request names."""

    name: str
    parameters: dict[str, Any] = Field(default={})


@dataclass(frozen=True)
class InferOptions:
    """What is asked for.

    Attributes:
        id: the caller's own name for the request.
        outputs: whether in binary, by name, in the order they are given.
        seconds: how long the caller waits for the answer.
    """

    id: str
    outputs: dict[str, bool]
    seconds: float


def read_options(
    given_id: str, parameters: Mapping[str, Any], outputs: Sequence[RequestedOutput] | None, known: list[str]
) -> InferOptions:
    """The wish of a request; without ``outputs`` it is for all that are known. Raises InputError."""
    everywhere = _flag(parameters, BINARY_OUTPUT, "parameters", otherwise=False)
    named = dict.fromkeys(known, everywhere) if outputs is None else _named(outputs, known, everywhere)
    return InferOptions(given_id, named, _seconds(parameters))


def _named(outputs: Sequence[RequestedOutput], known: list[str], everywhere: bool) -> dict[str, bool]:
    found: dict[str, bool] = {}
    for place, each in enumerate(outputs):
        field = f"outputs[{place}]"
        if each.name not in known:
            told = f"{field}.name is {quote(each.name)}; this model gives {known}"
            raise InputError(told, field=f"{field}.name")
        if each.name in found:
            raise InputError(f"{field}.name is {each.name!r} again; each output is given once", field=f"{field}.name")
        found[each.name] = _in_binary(each.parameters, f"{field}.parameters", everywhere)
    return found


def _in_binary(parameters: Mapping[str, Any], field: str, otherwise: bool) -> bool:
    for name in parameters:
        if name != BINARY:
            raise InputError(f"{field}: {quote(name)} is unknown; accepted is {BINARY}", field=field)
    return _flag(parameters, BINARY, field, otherwise)


def _flag(parameters: Mapping[str, Any], name: str, field: str, otherwise: bool) -> bool:
    given = parameters.get(name, otherwise)
    if not isinstance(given, bool):
        raise InputError(f"{field}.{name} is {quote(given)}; true or false is accepted", field=f"{field}.{name}")
    return given


def _seconds(parameters: Mapping[str, Any]) -> float:
    if TIMEOUT not in parameters:
        return math.inf
    given, field = parameters[TIMEOUT], f"parameters.{TIMEOUT}"
    if not isinstance(given, int) or isinstance(given, bool) or not 0 < given < 2**63:
        told = f"{field} is {quote(given)}; a whole number of microseconds above 0 is accepted"
        raise InputError(told, field=field)
    return given / 1e6
