"""Whether weights can have 4 bits here."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

needs_bitsandbytes = pytest.mark.skipif(
    find_spec("bitsandbytes") is None, reason="needs the extra in an environment of its own: make qlora"
)
