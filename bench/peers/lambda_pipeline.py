"""A peer: a Lambda handler with transformers' pipeline, as in most guides. BENCH_CHECKPOINT is the model's folder."""

from __future__ import annotations

import json
import os
from typing import Any

import torch
from transformers import pipeline

torch.set_num_threads(1)
classify = pipeline("text-classification", os.environ["BENCH_CHECKPOINT"], trust_remote_code=True, device="cpu")


def handler(event: dict[str, Any], _: object) -> dict[str, Any]:
    answer = classify(json.loads(event["body"])["inputs"], truncation=True)
    headers = {"content-type": "application/json"}
    return {"statusCode": 200, "headers": headers, "body": json.dumps([answer])}
