"""Generating models to ONNX: a causal model as one graph, a T5 as an encoder and a decoder, all with key/value caches.

Names are those of Optimum's exports, so that other runtimes read the files too. With B rows, N new tokens, P tokens
in the cache, S source tokens and layers numbered from 0:

    model.onnx    input_ids [B, N], attention_mask [B, P+N], position_ids [B, N], num_logits_to_keep [],
                  past_key_values.0.key and .value [B, heads, P, head_dim] …
                  → logits [B, kept, vocabulary], present.0.key and .value [B, heads, P+N, head_dim] …
    encoder.onnx  input_ids, attention_mask [B, S]
                  → last_hidden_state [B, S, hidden], present.0.encoder.key and .value [B, heads, S, head_dim] …
    decoder.onnx  input_ids [B, N], encoder_attention_mask [B, S], past_key_values.0.decoder.key and .value
                  [B, heads, P, head_dim] …, past_key_values.0.encoder.key and .value [B, heads, S, head_dim] …
                  → logits [B, N, vocabulary], present.0.decoder.key and .value [B, heads, P+N, head_dim] …

P may be 0, so that one graph reads the prompt and continues it. What the decoder reads of the source may be one row,
shared by all rows of its tokens. ``num_logits_to_keep`` (0: all) spares a prompt the
vocabulary-wide product at all but its last position. Cross-attention reads the source's keys and values as the
encoder's graph gives them: they are computed once a text, not once a token.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer, EncoderDecoderCache
from transformers.modeling_outputs import BaseModelOutput

from export.graphs.encoder import OPSET
from serving.errors import InputError

PROTOBUF_LIMIT = 2**31
"""Bytes that one ONNX file can hold; a bundle's graph is one file, read from memory."""

_CHANGING = ("dynamic", "longrope")

Axes = dict[str, dict[int, str]]
_ROWS_TOKENS = {0: "batch_size", 1: "sequence_length"}
_SOURCE = {0: "batch_size", 1: "encoder_sequence_length"}
_PAST, _PRESENT = {0: "batch_size", 2: "past_sequence_length"}, {0: "batch_size", 2: "total_sequence_length"}
_CROSS = {0: "batch_size", 2: "encoder_sequence_length"}


def export_causal(model: PreTrainedModel, path: Path) -> None:
    """Write ``model.onnx`` of a causal language model that was loaded with ``attn_implementation="eager"``.

    Raises InputError when the model keeps another cache than keys and values, or does not fit into one file.
    """
    _refuse_too_large(model)
    _refuse_changing_positions(model)
    step = _CausalStep(model).eval()
    caches = _cache_names("past_key_values", "", step.layers), _cache_names("present", "", step.layers)
    axes: Axes = {name: _ROWS_TOKENS for name in step.inputs if name != "num_logits_to_keep"}
    axes |= {"attention_mask": {0: "batch_size", 1: "total_sequence_length"}}
    axes |= {"logits": {0: "batch_size", 1: "num_logits_kept"}}
    axes |= dict.fromkeys(caches[0], _PAST) | dict.fromkeys(caches[1], _PRESENT)
    _trace(step, step.sample(), path, [*step.inputs, *caches[0]], ["logits", *caches[1]], axes)


def export_seq2seq(model: PreTrainedModel, encoder: Path, decoder: Path) -> None:
    """Write the two graphs of a T5-type model that was loaded with ``attn_implementation="eager"``.

    Raises InputError when the model keeps another cache than keys and values, or does not fit into one file.
    """
    _refuse_too_large(model)
    tokens, mask = torch.tensor([[3, 4, 5, 6], [3, 4, 1, 1]]), torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])
    read = _Encode(model).eval()
    with torch.no_grad():
        crosses = list(read(tokens, mask)[1:])
    layers = len(crosses) // 2
    outputs = ["last_hidden_state", *_cache_names("present", "encoder.", layers)]
    axes: Axes = {"input_ids": _SOURCE, "attention_mask": _SOURCE, "last_hidden_state": _SOURCE}
    axes |= dict.fromkeys(outputs[1:], _CROSS)
    _trace(read, (tokens, mask), encoder, ["input_ids", "attention_mask"], outputs, axes)

    pasts, sources = (_cache_names("past_key_values", each, layers) for each in ("decoder.", "encoder."))
    presents = _cache_names("present", "decoder.", layers)
    axes = {"input_ids": _ROWS_TOKENS, "encoder_attention_mask": _SOURCE, "logits": _ROWS_TOKENS}
    axes |= dict.fromkeys(pasts, _PAST) | dict.fromkeys(sources, _CROSS) | dict.fromkeys(presents, _PRESENT)
    sample = (tokens[:, :3], mask, *_random_past(crosses), *crosses)
    inputs = ["input_ids", "encoder_attention_mask", *pasts, *sources]
    _trace(_DecoderStep(model).eval(), sample, decoder, inputs, ["logits", *presents], axes)


class _CausalStep(nn.Module):
    """The model over tokens and a cache of plain tensors."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model
        taken = inspect.signature(model.forward).parameters
        self.inputs = ["input_ids", "attention_mask"]
        self.inputs += ["position_ids"] if "position_ids" in taken else []
        self.inputs += ["num_logits_to_keep"] if "logits_to_keep" in taken else []
        with torch.no_grad():
            output = model(input_ids=torch.tensor([[3, 4], [5, 6]]), use_cache=True)
        self.caches = _tensors_of(output.get("past_key_values"))
        self.layers = len(self.caches) // 2

    def sample(self) -> tuple[Tensor, ...]:
        """Two rows of three tokens after a past of four, one row padded on the left, so that the trace sees it all."""
        facts = {
            "input_ids": torch.tensor([[3, 4, 5], [6, 7, 8]]),
            "attention_mask": torch.tensor([[0, 1, 1, 1, 1, 1, 1], [1] * 7]),
            "position_ids": torch.tensor([[3, 4, 5], [4, 5, 6]]),
            "num_logits_to_keep": torch.tensor(2),
        }
        return (*(facts[name] for name in self.inputs), *_random_past(self.caches))

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        facts: dict[str, Any] = dict(zip(self.inputs, tensors, strict=False))
        if "num_logits_to_keep" in facts:
            positions = torch.arange(facts["input_ids"].shape[1])
            facts["logits_to_keep"] = positions[-facts.pop("num_logits_to_keep") :]
        cache = _cache_of(tensors[len(self.inputs) :])
        return self.model(**facts, past_key_values=cache, use_cache=True).logits, *_tensors_of(cache)


class _Encode(nn.Module):
    """The encoder, and what the decoder's cross-attention makes of its output."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, ...]:
        hidden = self.model.get_encoder()(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        # The decoder itself fills the cache, whatever its family calls its projections; the graph keeps these alone.
        cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        self.model(
            encoder_outputs=BaseModelOutput(last_hidden_state=hidden),
            attention_mask=attention_mask,
            decoder_input_ids=input_ids[:, :1],
            past_key_values=cache,
            use_cache=True,
        )
        return hidden, *_tensors_of(cache.cross_attention_cache)


class _DecoderStep(nn.Module):
    """The decoder over tokens, its own cache and the source's keys and values."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, encoder_attention_mask: Tensor, *caches: Tensor) -> tuple[Tensor, ...]:
        pasts, crosses = caches[: len(caches) // 2], caches[len(caches) // 2 :]
        cache = EncoderDecoderCache(_cache_of(pasts), _cache_of(crosses))
        # A filled cross-attention cache is read instead of the encoder's output, of which only the length matters.
        stand_in = BaseModelOutput(last_hidden_state=crosses[0][:, 0, :, :1])
        output = self.model(
            encoder_outputs=stand_in,
            attention_mask=encoder_attention_mask,
            decoder_input_ids=input_ids,
            past_key_values=cache,
            use_cache=True,
        )
        return output.logits, *_tensors_of(cache.self_attention_cache)


def _trace(
    module: nn.Module, sample: tuple[Tensor, ...], path: Path, inputs: list[str], outputs: list[str], axes: Axes
) -> None:
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the tracer warns of each shape it reads; the proof tells whether it matters
        torch.onnx.export(
            module,
            sample,
            str(path),
            input_names=inputs,
            output_names=outputs,
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
            do_constant_folding=False,  # it would write embeddings that are also the output layer a second time
        )
    onnx.checker.check_model(str(path))


def _cache_of(tensors: Sequence[Tensor]) -> DynamicCache:
    """Keys and values by turns, as a cache. Every layer keeps all; masks alone make a window slide."""
    cache = DynamicCache()
    for keys, values in zip(tensors[::2], tensors[1::2], strict=True):
        layer = DynamicLayer()
        layer.lazy_initialization(keys, values)
        layer.keys, layer.values = keys, values
        cache.layers.append(layer)
    return cache


def _tensors_of(cache: Cache | None) -> list[Tensor]:
    if cache is None or not all(isinstance(layer, DynamicLayer) for layer in cache.layers):
        raise InputError("model: it remembers more than keys and values; choose a transformer with plain attention")
    return [tensor for layer in cache.layers for tensor in (layer.keys, layer.values)]


def _cache_names(stem: str, part: str, layers: int) -> list[str]:
    return [f"{stem}.{layer}.{part}{kind}" for layer in range(layers) for kind in ("key", "value")]


def _random_past(caches: Sequence[Tensor]) -> list[Tensor]:
    return [torch.randn(2, cache.shape[1], 4, cache.shape[3]) for cache in caches]


def _refuse_changing_positions(model: PreTrainedModel) -> None:
    """Some rotary embeddings are computed anew once a text is long; a trace holds what they are for its sample."""
    parameters = getattr(model.config, "rope_parameters", None) or {}
    each = (parameters, *parameters.values())  # one set for all layers, or one for each kind of layer
    wrong = [rope["rope_type"] for rope in each if isinstance(rope, dict) and rope.get("rope_type") in _CHANGING]
    if wrong:
        raise InputError(
            f"model: its rotary position embeddings are of type {wrong[0]!r}, which changes with a text's length; "
            "choose a base model with type 'default', 'linear', 'yarn' or 'llama3'",
            field="model",
        )


def _refuse_too_large(model: PreTrainedModel) -> None:
    size = sum(each.numel() * each.element_size() for each in model.parameters())
    if size >= PROTOBUF_LIMIT:
        raise InputError(
            f"model: its weights take {size / 2**30:.1f} GiB in fp32; one ONNX file holds less than 2. "
            "Choose a base model of fewer than 500 million parameters",
            field="model",
        )
