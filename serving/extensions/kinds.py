"""The kinds of extensions: each is a group of entry points, named ``tuneship.KIND``, and a table of tuneship.toml."""

from __future__ import annotations

import re
from typing import Final, Literal, get_args

Kind = Literal["metrics", "losses", "heads", "variants", "readers", "preprocessors", "postprocessors"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

ENTRY_POINTS = "tuneship."
"""Before a kind, the name of its group of entry points."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
TARGET = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
"""``package.module:name``"""
