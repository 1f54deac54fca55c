"""The memory of a process that has loaded what it serves."""

from __future__ import annotations

import ctypes
import gc


def trim_memory() -> None:
    """Give back what only loading needed, or a version that has gone, and leave the rest alone.

    What is there now stays, and the collector going through it again would hold every request up for 30 ms. The C
    library keeps what was freed, tens of megabytes of a graph read and packed, unless it is told to let go of it.
    """
    gc.collect()
    gc.freeze()
    library = ctypes.CDLL(None)
    if hasattr(library, "malloc_trim"):  # of the GNU C library
        library.malloc_trim(0)
