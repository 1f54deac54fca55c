"""Protocols that few servers need: imported at their first request, and there when it comes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from importlib import import_module
from typing import Any

import pytest

from serving.protocols import DECISIONS, PROTOCOLS, ApiProtocol
from serving.protocols.lazy_module import LazyModule
from serving.protocols.openai_decisions import decide
from serving.protocols.openai_generation import chat, completions


def functions(protocol: ApiProtocol) -> Iterator[Any]:
    """All that a protocol calls."""
    yield from (protocol.parse, protocol.render)
    if events := protocol.events:
        yield from (events.opening, events.token, events.closing, events.error)


def test_functions_exist() -> None:
    """What the table names later is there."""
    lazy = [each.args for protocol in PROTOCOLS.values() for each in functions(protocol) if isinstance(each, partial)]
    assert len(lazy) > 10
    for module, name in lazy:
        assert callable(getattr(import_module(module), name))


def test_paths() -> None:
    """The table has the paths that the modules name in their messages."""
    assert {decide.PATH, chat.PATH, completions.PATH} <= PROTOCOLS.keys()
    assert decide.PATH == DECISIONS


def test_imported_when_called() -> None:
    """The function is that of the module."""
    assert LazyModule("textwrap").dedent("  a") == "a"
    with pytest.raises(ModuleNotFoundError):
        LazyModule("serving.protocols.nowhere").parse(b"")
