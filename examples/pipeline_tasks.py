"""Three tasks of a data pipeline: train, export, answer a file.

They take and return paths, as Airflow, Dagster and Prefect pass values between tasks. With Airflow's decorators:

    @dag(schedule="@weekly")
    def intents():
        run = task(train)("recipe.yaml", "runs/intents")
        bundle = task(ship)(run, "bundles/intents")
        task(answer)(bundle, "texts.csv", "answers.csv")

A task that was stopped and is tried again goes on: `fine_tune` resumes the run, or returns the finished one.
"""

from __future__ import annotations

import csv
from pathlib import Path


def train(recipe: str, run: str) -> str:
    """Returns the run's folder."""
    from trainer import fine_tune  # inside: a scheduler reads this file without loading torch

    return str(fine_tune(recipe, run, quiet=True).root)


def ship(run: str, bundle: str) -> str:
    """Returns the bundle's folder; raises ProofFailed where the exported model does not answer as the trained one."""
    from export import export

    return str(export(run, bundle, variant="auto", quiet=True).bundle)


def answer(bundle: str, texts: str, answers: str) -> int:
    """Write the label of each row's text beside it; returns the number of rows."""
    from serving import Predictor

    with Path(texts).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    with Predictor.open(bundle) as predictor:
        labels = [found[0]["label"] for found in predictor.predict([row["text"] for row in rows], top_k=1)]
    with Path(answers).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerows([("text", "label"), *zip((row["text"] for row in rows), labels, strict=True)])
    return len(rows)
