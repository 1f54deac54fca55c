"""A reader: the messages of an SQLite file. A recipe names rows.sqlite as data.train."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

QUERY = "SELECT text, label FROM messages ORDER BY rowid"


def read_sqlite(path: Path) -> Mapping[str, Sequence[Any]]:
    """Columns of equal length by name; the recipe's ``data`` says which of them matter."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        cursor = connection.execute(QUERY)
        names = [column[0] for column in cursor.description]
        rows = cursor.fetchall()
    return {name: [row[at] for row in rows] for at, name in enumerate(names)}
