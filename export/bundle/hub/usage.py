"""Examples for the README: transformers.js, and Python."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from export.graphs.encoder import can_be_pooled_elsewhere
from serving.tasks.base import Task
from trainer.model.checkpoint import ModelSpec
from trainer.model.heads import GENERATING

REPOSITORY = "OWNER/NAME"

CLASSES = {"sequence": "SequenceClassification", "token": "TokenClassification", "span": "QuestionAnswering"}

_EVERY_HEAD = frozenset({"bert", "deberta-v2", "distilbert", "electra", "mpnet", "roberta", "xlm-roberta"})
JAVASCRIPT: dict[str, frozenset[str]] = {
    "sequence": _EVERY_HEAD | {"albert", "bart", "eurobert", "mbart", "modernbert"},
    "token": _EVERY_HEAD | {"eurobert", "modernbert"},
    "span": _EVERY_HEAD | {"albert"},
    "seq2seq": frozenset(
        {"t5", "mt5", "longt5", "bart", "mbart", "marian", "m2m_100", "blenderbot", "blenderbot-small"}
    ),
}
"""By head, the model types that transformers.js 4.3 has a class for; it reads others' graphs by `AutoModel`."""

NOT_IN_JAVASCRIPT = frozenset({"t5"})
"""It looks for a decoder beside a classifier's encoder."""


@dataclass(frozen=True)
class Usage:
    """Source text of examples; empty where there is none."""

    javascript: str
    python: str
    generates: bool = False


def describe_usage(task: Task, spec: ModelSpec, model_type: str, graph_inputs: Sequence[str]) -> Usage:
    if not can_run_in_javascript(spec, model_type):
        javascript = ""
    elif _has_pipeline(task, spec, model_type):
        javascript = _pipeline_example(task, spec)
    else:
        javascript = _model_example(task, spec, model_type, graph_inputs)
    return Usage(javascript, _python_example(task, spec), spec.head in GENERATING)


def can_run_in_javascript(spec: ModelSpec, model_type: str) -> bool:
    if spec.head == "seq2seq":
        return model_type in JAVASCRIPT[spec.head]
    return model_type not in NOT_IN_JAVASCRIPT


def _has_pipeline(task: Task, spec: ModelSpec, model_type: str) -> bool:
    if spec.head == "vector":
        return can_be_pooled_elsewhere(spec)
    if task.name == "regression" or task.is_pair:
        return False
    return spec.head in GENERATING or model_type in JAVASCRIPT[spec.head]


def _pipeline_example(task: Task, spec: ModelSpec) -> str:
    name = {"multi-label-classification": "text-classification"}.get(task.name, task.name)
    most = f"max_new_tokens: {getattr(task.settings, 'max_new_tokens', 0)}"
    call = {
        "sequence": '"a text", { top_k: null }',
        "token": '"a text"',
        "span": '"a question", "a context"',
        "vector": f'["a text", "another"], {{ pooling: "{spec.pooling}", normalize: true }}',
        "causal": f"{_quote_text(task)}, {{ return_full_text: false, add_special_tokens: true, {most} }}",
        "seq2seq": f"{_quote_text(task)}, {{ {most} }}",
    }[spec.head]
    return (
        'import { pipeline } from "@huggingface/transformers";\n\n'
        f'const run = await pipeline("{name}", "{REPOSITORY}", {{ dtype: "fp32" }});\n'
        f"const answer = await run({call});"
    )


def _quote_text(task: Task) -> str:
    """With what the bundle puts before every text."""
    return json.dumps(f"{getattr(task.settings, 'prefix', '')}a text", ensure_ascii=False)


def _model_example(task: Task, spec: ModelSpec, model_type: str, graph_inputs: Sequence[str]) -> str:
    kind = "AutoModel"
    if spec.head in JAVASCRIPT and model_type in JAVASCRIPT[spec.head]:
        kind += f"For{CLASSES[spec.head]}"
    types = ", return_token_type_ids: true" if "token_type_ids" in graph_inputs else ""
    pair = '"a text", { text_pair: "another"' if task.is_pair or spec.head == "span" else '"a text", { padding: true'
    output = {"vector": "sentence_embedding", "span": "start_logits, end_logits"}.get(spec.head, "logits")
    return (
        f'import {{ AutoTokenizer, {kind} }} from "@huggingface/transformers";\n\n'
        f'const tokenizer = await AutoTokenizer.from_pretrained("{REPOSITORY}");\n'
        f'const model = await {kind}.from_pretrained("{REPOSITORY}", {{ dtype: "fp32" }});\n'
        f"const {{ {output} }} = await model(tokenizer({pair}, truncation: true{types} }}));"
    )


def _python_example(task: Task, spec: ModelSpec) -> str:
    if spec.head in GENERATING:
        kind = "CausalLM" if spec.head == "causal" else "Seq2SeqLM"
        return (
            f"from transformers import AutoModelFor{kind}, AutoTokenizer\n\n"
            f'tokenizer = AutoTokenizer.from_pretrained("{REPOSITORY}")\n'
            f'model = AutoModelFor{kind}.from_pretrained("{REPOSITORY}")\n'
            f'tokens = tokenizer({_quote_text(task)}, return_tensors="pt")\n'
            "answer = tokenizer.batch_decode(model.generate(**tokens), skip_special_tokens=True)"
        )
    texts = '["a text"], ["another"]' if task.is_pair or spec.head == "span" else '["a text", "another"]'
    cut = "only_second" if spec.head == "span" else "longest_first"
    return (
        "import onnxruntime\n"
        "from huggingface_hub import snapshot_download\n"
        "from transformers import AutoTokenizer\n\n"
        f'folder = snapshot_download("{REPOSITORY}")\n'
        "tokenizer = AutoTokenizer.from_pretrained(folder)\n"
        'session = onnxruntime.InferenceSession(f"{folder}/onnx/model.onnx")\n'
        f'tokens = tokenizer({texts}, padding=True, truncation="{cut}", return_tensors="np")\n'
        "feeds = {each.name: tokens[each.name] for each in session.get_inputs()}\n"
        "outputs = dict(zip([each.name for each in session.get_outputs()], session.run(None, feeds)))"
    )
