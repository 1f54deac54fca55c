"""Both roads to ONNX, by family: TorchScript's tracer, and transformers' exporter over torch.export.

    python -m bench.exporters [FAMILY …]

Models of random weights, two layers of width 256. A classifier reads 8 texts of 64 tokens; a generating model a token
after 64 others. Each graph is compared with torch first.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM

from export.graphs.encoder import PositionalModel
from export.graphs.generator import causal_conversion, seq2seq_conversions
from export.graphs.graph_file import load_graph
from export.graphs.to_onnx import ROADS, Conversion, first_line
from serving.bundle.bundle import GraphFile
from serving.inference.session import create_session
from trainer.model.architecture import backbone_class, natural_pooling
from trainer.model.heads import PooledClassifier

ROUNDS, TOKENS, ROWS, PAST = 30, 64, 8, 64
SIZES: dict[str, Any] = {
    "vocab_size": 1000, "hidden_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 1024,
    "max_position_embeddings": 514, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2,
}  # fmt: skip
GROUPED = {"num_key_value_heads": 2}
BOTH_SIDES = {
    "d_model": 256, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
    "decoder_attention_heads": 4, "encoder_ffn_dim": 1024, "decoder_ffn_dim": 1024, "decoder_start_token_id": 2,
}  # fmt: skip
DEBERTA = {"relative_attention": True, "position_buckets": 256, "pos_att_type": ["p2c", "c2p"], "share_att_key": True}
T5 = {"d_model": 256, "d_kv": 64, "d_ff": 1024, "num_layers": 2, "num_heads": 4, "decoder_start_token_id": 0}
XLNET = {"d_model": 256, "n_head": 4, "n_layer": 2, "d_head": 64, "d_inner": 1024, "max_position_embeddings": None}

CLASSIFIERS: dict[str, tuple[str, dict[str, Any]]] = {
    "BERT": ("bert", {}), "DistilBERT": ("distilbert", {"hidden_dim": 1024}), "RoBERTa": ("roberta", {}),
    "XLM-R": ("xlm-roberta", {}), "MPNet": ("mpnet", {}), "ELECTRA": ("electra", {"embedding_size": 128}),
    "ALBERT": ("albert", {"embedding_size": 128}), "DeBERTa-v3": ("deberta-v2", DEBERTA),
    "ModernBERT": ("modernbert", {"cls_token_id": 3, "sep_token_id": 4}), "EuroBERT": ("eurobert", GROUPED),
    "NomicBERT": ("nomic_bert", {}), "Jina v3": ("jina_embeddings_v3", {}), "XLNet": ("xlnet", XLNET),
    "BART": ("bart", BOTH_SIDES), "GPT-2": ("gpt2", {}), "GPT-NeoX": ("gpt_neox", {}), "Llama": ("llama", GROUPED),
    "OPT": ("opt", {"ffn_dim": 1024, "word_embed_proj_dim": 256}), "Qwen2": ("qwen2", GROUPED),
    "Qwen3": ("qwen3", {**GROUPED, "head_dim": 64}), "T5 encoder": ("t5", T5),
}  # fmt: skip
GENERATORS: dict[str, tuple[str, dict[str, Any]]] = {
    "T5, generating": ("t5", T5), "BART, generating": ("bart", BOTH_SIDES),
    "Marian, generating": ("marian", BOTH_SIDES), "mBART, generating": ("mbart", BOTH_SIDES),
    **{f"{name}, generating": CLASSIFIERS[name] for name in ("GPT-2", "GPT-NeoX", "Llama", "OPT", "Qwen2", "Qwen3")},
    "Phi, generating": ("phi", {}),
}  # fmt: skip


@dataclass(frozen=True)
class Graph:
    """``run`` answers the timed input once."""

    seconds: float
    nodes: int
    run: Callable[[], object]


def conversions(family: str) -> list[Conversion]:
    """The last one is timed."""
    model_type, options = (CLASSIFIERS | GENERATORS)[family]
    values = SIZES | options
    config = AutoConfig.for_model(model_type, **{name: each for name, each in values.items() if each is not None})
    torch.manual_seed(0)
    if family in CLASSIFIERS:
        return [_classifier(config)]
    kind = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    model = kind.from_config(config, attn_implementation="eager").eval()
    return list(seq2seq_conversions(model)) if config.is_encoder_decoder else [causal_conversion(model)]


def _classifier(config: Any) -> Conversion:
    inputs, free = ["input_ids", "attention_mask"], {0: "batch", 1: "sequence"}
    backbone = backbone_class(config).from_config(config, attn_implementation="eager")
    backbone.config.use_cache = False
    module = PositionalModel(PooledClassifier(backbone, natural_pooling(config), 5).eval(), inputs, ["logits"])
    mask = torch.tensor([[1] * 6, [1, 1, 1, 1, 0, 0]])
    samples = [(torch.full((2, 6), 5) * mask, mask), (torch.full((1, 1), 7), torch.ones(1, 1, dtype=torch.long))]
    return Conversion(module, samples, inputs, ["logits"], {**dict.fromkeys(inputs, free), "logits": {0: "batch"}})


def convert(made: Sequence[Conversion], road: str, folder: Path) -> Graph:
    """All graphs, each compared with torch."""
    start, paths = time.perf_counter(), [folder / f"{number}.onnx" for number in range(len(made))]
    for conversion, path in zip(made, paths, strict=True):
        conversion.write(path, road)
    seconds = time.perf_counter() - start
    for conversion, path in zip(made, paths, strict=True):
        conversion.check(path)
    session = create_session(GraphFile(paths[-1].name, b"", path=paths[-1]), 1)
    taken = {node.name for node in session.get_inputs()}
    feeds = {name: each.numpy() for name, each in timed_inputs(made[-1]).items() if name in taken}
    return Graph(seconds, sum(len(load_graph(path).graph.node) for path in paths), lambda: session.run(None, feeds))


def timed_inputs(conversion: Conversion) -> dict[str, Tensor]:
    """The first sample's names, in the size that is timed."""
    named = dict(zip(conversion.inputs, conversion.samples[0], strict=True))
    if "position_ids" not in named and not any("past" in name for name in named):
        return {name: torch.ones(ROWS, TOKENS, dtype=torch.long) for name in named}
    sizes = {"input_ids": (1, 1), "position_ids": (1, 1), "attention_mask": (1, PAST + 1)}
    sizes["encoder_attention_mask"] = (1, TOKENS)
    tensors = {name: torch.ones(size, dtype=torch.long) for name, size in sizes.items() if name in named}
    tensors |= {"num_logits_to_keep": torch.tensor(1)}
    past = {name: value for name, value in named.items() if "past" in name}
    return tensors | {name: torch.zeros(1, value.shape[1], PAST, value.shape[3]) for name, value in past.items()}


def speed_ratio(first: Graph, second: Graph) -> float:
    """How much faster the second is: the median over rounds in turns."""
    return statistics.median(_seconds(first.run) / _seconds(second.run) for _ in range(ROUNDS))


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def row(family: str) -> list[str]:
    """Of the table; a road that fails is named with its reason."""
    with tempfile.TemporaryDirectory() as folder:
        graphs: list[Graph | str] = []
        for road in ROADS:
            try:
                graphs.append(convert(conversions(family), road, Path(folder)))
            except Exception as error:  # of either exporter or of onnxruntime: they share no base class
                graphs.append(f"{road}: {first_line(error)}")
        first, second = graphs
        if isinstance(first, str) or isinstance(second, str):
            return [family, "; ".join(each for each in graphs if isinstance(each, str)), "", ""]
        return [
            family,
            f"{first.seconds:.1f} / {second.seconds:.1f} s",
            f"{first.nodes:,} / {second.nodes:,}",
            f"{speed_ratio(first, second):.2f} ×",
        ]


def main(families: Sequence[str]) -> Iterator[str]:
    """The table's lines."""
    yield f"| family | conversion, {' / '.join(ROADS)} | nodes | speed of torch.export's graph |"
    yield "| --- | --- | --- | --- |"
    for family in families:
        yield f"| {' | '.join(row(family))} |"


if __name__ == "__main__":
    torch.set_num_threads(1)
    for line in main(sys.argv[1:] or [*CLASSIFIERS, *GENERATORS]):
        print(line, flush=True)
