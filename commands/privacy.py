"""What a trained model tells of its rows."""

from __future__ import annotations

import json
import sys
from typing import Annotated

from rich.table import Table
from typer import Option

from commands.arguments import Overrides, Run
from commands.terminal import err, out


def privacy(
    run: Run,
    json_: Annotated[bool, Option("--json", help="Print JSON.")] = False,
    set_: Overrides = None,
) -> None:
    """Attack a run to see what it tells of its training rows.

    Membership inference by the model's loss, as AUC and as the share of training rows that are found at 1 % false
    alarms. Changes nothing. If the data has moved, say where it is with --set data.train=FILE.
    """
    from trainer.fit.privacy.attack_run import attack_finished_run  # imports torch
    from trainer.run.report.privacy import membership_lines, membership_table, privacy_lines

    with err.status("measuring losses…"):
        record, membership, score = attack_finished_run(run, set_ or [])
    if json_:
        sys.stdout.write(json.dumps({"privacy": record, "membership": membership}, indent=2) + "\n")
        return
    for line in privacy_lines(record, score)[:1]:
        out.print(line.replace("**", ""), highlight=False, markup=False)
    if membership["attacks"]:
        headings, rows = membership_table(membership)
        table = Table(*headings)
        for row in rows:
            table.add_row(*row)
        out.print(table)
    for line in membership_lines(membership):
        out.print(line, highlight=False, markup=False)
