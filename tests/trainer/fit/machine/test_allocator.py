"""Freed memory is used again."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
import numpy as np
from trainer.fit.machine.allocator import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(12_000_000, dtype=np.float32)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

if sys.argv[1] == "kept":
    assert keep_freed_memory()
print(faults(), faults())
"""


def page_faults(how: str) -> list[int]:
    """Of the same 48 MB, twice, in a process of its own."""
    found = subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True)
    return [int(each) for each in found.stdout.split()]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc maps large blocks afresh")
def test_large_block_is_kept() -> None:
    """The second large block has the pages of the first; without it, they would be cleared again."""
    first, second = page_faults("kept")
    assert second < first / 4
    assert page_faults("plain")[1] > 4 * second
