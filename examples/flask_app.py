"""A Flask application that answers texts itself: BUNDLE=bundles/support flask --app examples/flask_app.py run"""

from __future__ import annotations

import os
from typing import Any

from flask import Flask, Response, jsonify, request

from serving import Predictor
from serving.errors import InputError

predictor = Predictor.open(os.environ["BUNDLE"])  # once; all of Flask's threads share it
app = Flask(__name__)


@app.post("/classify")
def classify() -> Response:
    """A text, or a list of texts, to its labels."""
    return jsonify(predictor.predict(request.get_json(), top_k=3))


@app.errorhandler(InputError)
def refuse(error: InputError) -> tuple[dict[str, Any], int]:
    return {"error": str(error), "field": error.field}, 400
