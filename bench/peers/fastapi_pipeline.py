"""A peer: FastAPI with transformers' pipeline, as most guides show it; one text a call, no batching.

An ``async`` endpoint on uvicorn with uvloop and httptools: with one core, threads would only get in each other's way.
BENCH_CHECKPOINT names the model's folder.
"""

from __future__ import annotations

import os

import torch
from fastapi import FastAPI  # type: ignore[import-not-found]
from pydantic import BaseModel
from transformers import pipeline

torch.set_num_threads(1)
classify = pipeline("text-classification", os.environ["BENCH_CHECKPOINT"], trust_remote_code=True, device="cpu")
app = FastAPI()


class Request(BaseModel):
    """One text."""

    inputs: str


@app.get("/readyz")  # type: ignore[untyped-decorator]
async def ready() -> str:
    """The model is loaded before the server listens."""
    return "ready"


@app.post("/predict")  # type: ignore[untyped-decorator]
async def predict(request: Request) -> list[dict[str, object]]:
    """The best label and its probability."""
    answer: list[dict[str, object]] = classify(request.inputs, truncation=True)
    return answer
