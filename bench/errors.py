"""What a measurement raises; it stays inside this room."""

from __future__ import annotations


class MeasurementError(RuntimeError):
    """A figure could not be measured; the message says which step failed and shows the process's last log lines."""
