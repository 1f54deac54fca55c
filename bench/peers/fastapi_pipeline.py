"""A peer: FastAPI with transformers' pipeline, as in most guides: one text a call, no batches.

The endpoint is ``async``, as threads would compete for the one core. BENCH_CHECKPOINT names the model's folder.
"""

from __future__ import annotations

import os

import torch
from fastapi import FastAPI
from pydantic import BaseModel
from transformers import pipeline

torch.set_num_threads(1)
classify = pipeline("text-classification", os.environ["BENCH_CHECKPOINT"], trust_remote_code=True, device="cpu")
app = FastAPI()


class Request(BaseModel):
    inputs: str


@app.get("/readyz")
async def ready() -> str:
    return "ready"


@app.post("/predict")
async def predict(request: Request) -> list[dict[str, object]]:
    answer: list[dict[str, object]] = classify(request.inputs, truncation=True)
    return answer
