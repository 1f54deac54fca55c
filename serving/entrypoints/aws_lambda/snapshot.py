"""SnapStart restores many environments from one snapshot of the started function: none may repeat another's numbers.

What the operating system draws (`secrets`, `uuid.uuid4`, `os.urandom`) differs by itself:
https://docs.aws.amazon.com/lambda/latest/dg/snapstart-uniqueness.html
"""

from __future__ import annotations

import os
import random
import sys

from serving.http.app import App

ENTROPY_BYTES = 48


def renew(app: App) -> None:
    """After a restore: random numbers, ids, keys and connections that the snapshot holds are not used again."""
    random.seed()  # OpenTelemetry draws the ids of traces from it
    if "ssl" in sys.modules:  # OpenSSL has its own generator
        sys.modules["ssl"].RAND_add(os.urandom(ENTROPY_BYTES), ENTROPY_BYTES)
    state = app.server_state
    state.request_ids.renew()
    if state.keys:
        state.keys.renew()
    app.observers.renew()


def register(app: App) -> None:
    """With awslambdaric, whose loop calls both at their time."""
    from snapshot_restore_py import register_after_restore, register_before_snapshot

    register_before_snapshot(app.observers.flush)
    register_after_restore(renew, app)
