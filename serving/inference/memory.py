"""Memory after a model was loaded or closed."""

from __future__ import annotations

import ctypes
import gc


def trim_memory() -> None:
    """Return freed memory to the system, and exempt living objects from garbage collection.

    A full collection would delay requests; the GNU C library would keep what loading freed.
    """
    gc.collect()
    gc.freeze()
    return_freed_memory()


def return_freed_memory() -> None:
    """What the GNU C library keeps would be added to the next model's peak."""
    library = ctypes.CDLL(None)
    if hasattr(library, "malloc_trim"):  # the GNU C library
        library.malloc_trim(0)
