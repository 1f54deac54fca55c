"""Options of ``infer``: which outputs, in which form, how soon."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from serving.errors import InputError, quote
from serving.tasks.strict_model import StrictModel

BINARY_OUTPUT = "binary_data_output"
"""Asks for every output in binary; `BINARY` for one."""

BINARY = "binary_data"

TIMEOUT = "timeout"
"""The caller's timeout in microseconds, as in Triton."""

LEAST_TIMEOUT = 1000


class RequestedOutput(StrictModel):
    name: str
    parameters: dict[str, Any] = Field(default={})


@dataclass(frozen=True)
class InferOptions:
    """``outputs`` are the names in order, and whether each is binary; ``seconds`` is the caller's timeout."""

    id: str
    outputs: dict[str, bool]
    seconds: float


def read_options(
    request_id: str, parameters: Mapping[str, Any], outputs: Sequence[RequestedOutput] | None, known: list[str]
) -> InferOptions:
    """Without ``outputs`` a request asks for all known ones. Raises InputError."""
    binary = _read_flag(parameters, BINARY_OUTPUT, "parameters", default=False)
    selected = dict.fromkeys(known, binary) if outputs is None else _select_outputs(outputs, known, binary)
    return InferOptions(request_id, selected, _read_timeout(parameters))


def _select_outputs(outputs: Sequence[RequestedOutput], known: list[str], binary: bool) -> dict[str, bool]:
    selected: dict[str, bool] = {}
    for index, output in enumerate(outputs):
        field = f"outputs[{index}]"
        if output.name not in known:
            message = f"{field}.name is {quote(output.name)}; this model gives {known}"
            raise InputError(message, field=f"{field}.name")
        if output.name in selected:
            message = f"{field}.name is {output.name!r}, which is named already; name each output once"
            raise InputError(message, field=f"{field}.name")
        selected[output.name] = _read_binary(output.parameters, f"{field}.parameters", binary)
    return selected


def _read_binary(parameters: Mapping[str, Any], field: str, default: bool) -> bool:
    for name in parameters:
        if name != BINARY:
            raise InputError(f"{field}: {quote(name)} is unknown; accepted is {BINARY}", field=field)
    return _read_flag(parameters, BINARY, field, default)


def _read_flag(parameters: Mapping[str, Any], name: str, field: str, default: bool) -> bool:
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise InputError(f"{field}.{name} is {quote(value)}; true or false is accepted", field=f"{field}.{name}")
    return value


def _read_timeout(parameters: Mapping[str, Any]) -> float:
    if TIMEOUT not in parameters:
        return math.inf
    value, field = parameters[TIMEOUT], f"parameters.{TIMEOUT}"
    if not isinstance(value, int) or isinstance(value, bool) or not LEAST_TIMEOUT <= value < 2**63:
        message = f"{field} is {quote(value)}; a whole number of microseconds, {LEAST_TIMEOUT} or more, is accepted"
        raise InputError(message, field=field)
    return value / 1e6
