"""What a trained model tells of its rows."""

from __future__ import annotations

from rich.table import Table

from commands.arguments import Overrides, Run
from commands.terminal import out, tell
from commands.verbs import verb


@verb("tuneship privacy runs/support", "tuneship privacy runs/support --set data.train=moved/train.csv")
def privacy(run: Run, set_: Overrides = None) -> None:
    """Attack a run to see what it tells of its training rows.

    Membership inference by the model's loss, as AUC and as the share of training rows that are found at 1 % false
    alarms. Changes nothing. If the data has moved, say where it is with --set data.train=FILE.
    """
    from commands.progress import show_progress
    from serving.observability.progress import begin_step
    from trainer.fit.privacy.attack_run import attack_finished_run  # imports torch
    from trainer.run.report.privacy import membership_lines, membership_table, privacy_lines

    with show_progress():
        begin_step("measuring losses…")
        record, membership, score = attack_finished_run(run, set_ or [])
    tell({"privacy": record, "membership": membership})
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
