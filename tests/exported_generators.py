"""Tiny generating models in torch and ONNX, created once a test run."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.bundle.bundle import GraphFile
from serving.inference.generation.detokenizer import Detokenizer
from serving.inference.generation.kv_cache import CausalSession, GenerationSession, Seq2SeqSession
from tests.tiny_generators import MAKERS, PROMPTS


@dataclass(frozen=True)
class TinyGenerator:
    """A tiny model in torch and in onnxruntime."""

    kind: str
    model: Any
    tokenizer: Any
    session: GenerationSession

    @property
    def eos_token_id(self) -> int:
        """The token that ends an answer."""
        return int(self.tokenizer.eos_token_id)

    @property
    def detokenizer(self) -> Detokenizer:
        """Text from tokens, as with a bundle's tokenizer.json."""
        return Detokenizer(self.tokenizer.backend_tokenizer)

    def prompts(self) -> list[list[int]]:
        """The token ids of all prompts."""
        return [self.tokenizer(prompt).input_ids for prompt in PROMPTS]

    def torch_tokens(self, prompt: Sequence[int], **settings: Any) -> list[list[int]]:
        """The answers of transformers' ``generate``: their new tokens, up to the end token."""
        import torch

        ids = torch.tensor([list(prompt)])
        settings = {"do_sample": False, "pad_token_id": self.tokenizer.pad_token_id or 0, **settings}
        with torch.no_grad():
            answers = self.model.generate(ids, attention_mask=torch.ones_like(ids), **settings).tolist()
        new = [answer[1 if self.kind == "t5" else len(prompt) :] for answer in answers]
        return [answer[: (*answer, self.eos_token_id).index(self.eos_token_id) + 1] for answer in new]


@functools.cache
def tiny_generator(kind: str) -> TinyGenerator:
    """An untrained model of a family, exported once a test run."""
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

    from export.graphs.generator import export_causal, export_seq2seq

    folder = Path(tempfile.mkdtemp(prefix=f"tiny-{kind}-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    MAKERS[kind](folder)
    loader = AutoModelForSeq2SeqLM if kind == "t5" else AutoModelForCausalLM
    eager = loader.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    if kind == "t5":
        encoder, decoder = folder / "encoder.onnx", folder / "decoder.onnx"
        export_seq2seq(eager, encoder, decoder)
        start = eager.config.decoder_start_token_id
        graphs = (GraphFile(path.name, b"", path=path) for path in (encoder, decoder))
        session: GenerationSession = Seq2SeqSession(*graphs, decoder_start_token_id=start)
    else:
        export_causal(eager, folder / "model.onnx")
        graph = GraphFile("model.onnx", b"", path=folder / "model.onnx")
        session = CausalSession(graph, max_positions=128)
    # The reference uses torch's own attention rather than the traced eager one.
    model = loader.from_pretrained(folder, dtype=torch.float32).eval()
    return TinyGenerator(kind, model, AutoTokenizer.from_pretrained(folder), session)
