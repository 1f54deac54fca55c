"""Generating models to ONNX: a causal model as one graph, a T5 as an encoder and a decoder, all with key/value caches.

Tensor names are those of Optimum, so that other runtimes read the files too. With B rows, N new tokens, P tokens in the
cache, S source tokens and layers numbered from 0:

    model.onnx    input_ids [B, N], attention_mask [B, P+N], position_ids [B, N], num_logits_to_keep [],
                  past_key_values.0.key and .value [B, heads, P, head_dim] …
                  → logits [B, kept, vocabulary], present.0.key and .value [B, heads, P+N, head_dim] …
    encoder.onnx  input_ids, attention_mask [B, S]
                  → last_hidden_state [B, S, hidden], present.0.encoder.key and .value [B, heads, S, head_dim] …
    decoder.onnx  input_ids [B, N], encoder_attention_mask [B, S], past_key_values.0.decoder.key and .value
                  [B, heads, P, head_dim] …, past_key_values.0.encoder.key and .value [B, heads, S, head_dim] …
                  → logits [B, N, vocabulary], present.0.decoder.key and .value [B, heads, P+N, head_dim] …

P may be 0: one graph reads the prompt and continues it. Source tensors may have one row, shared by all rows of tokens.
``num_logits_to_keep`` (0: all) computes logits only for the last positions. The encoder's graph computes the source's
keys and values for cross-attention, once for each text.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer, EncoderDecoderCache
from transformers.modeling_outputs import BaseModelOutput

from export.graphs.to_onnx import Conversion, to_onnx
from export.graphs.trace import Axes
from serving.errors import InputError

_ROWS_TOKENS = {0: "batch_size", 1: "sequence_length"}
_SOURCE = {0: "batch_size", 1: "encoder_sequence_length"}
_PAST, _PRESENT = {0: "batch_size", 2: "past_sequence_length"}, {0: "batch_size", 2: "total_sequence_length"}
_CROSS = {0: "batch_size", 2: "encoder_sequence_length"}


def export_causal(model: PreTrainedModel, path: Path) -> None:
    """The model was loaded with ``attn_implementation="eager"``.

    Raises InputError for another cache than keys and values.
    """
    to_onnx(causal_conversion(model), path)


def export_seq2seq(model: PreTrainedModel, encoder: Path, decoder: Path) -> None:
    """As `export_causal`."""
    for conversion, path in zip(seq2seq_conversions(model), (encoder, decoder), strict=True):
        to_onnx(conversion, path)


def causal_conversion(model: PreTrainedModel) -> Conversion:
    step = _CausalStep(model)
    pasts, presents = (_cache_names(stem, "", step.layers) for stem in ("past_key_values", "present"))
    axes: Axes = {name: _ROWS_TOKENS for name in step.inputs if name != "num_logits_to_keep"}
    axes |= {"attention_mask": {0: "batch_size", 1: "total_sequence_length"}}
    axes |= {"logits": {0: "batch_size", 1: "num_logits_kept"}}
    axes |= dict.fromkeys(pasts, _PAST) | dict.fromkeys(presents, _PRESENT)
    samples = [step.sample(), step.sample(past=0, new=1)]
    return Conversion(step, samples, [*step.inputs, *pasts], ["logits", *presents], axes, fold_constants=False)


def seq2seq_conversions(model: PreTrainedModel) -> tuple[Conversion, Conversion]:
    """Of the encoder and of the decoder."""
    tokens, mask = torch.tensor([[3, 4, 5, 6], [3, 4, 1, 1]]), torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])
    encode = _Encode(model).eval()
    with torch.no_grad():
        cross_caches = list(encode(tokens, mask)[1:])
    layers = len(cross_caches) // 2
    outputs = ["last_hidden_state", *_cache_names("present", "encoder.", layers)]
    axes: Axes = {"input_ids": _SOURCE, "attention_mask": _SOURCE, "last_hidden_state": _SOURCE}
    axes |= dict.fromkeys(outputs[1:], _CROSS)
    samples = [(tokens, mask), (tokens[:1, :1], mask[:1, :1])]
    encoder = Conversion(encode, samples, ["input_ids", "attention_mask"], outputs, axes, fold_constants=False)

    pasts, sources = (_cache_names("past_key_values", each, layers) for each in ("decoder.", "encoder."))
    presents = _cache_names("present", "decoder.", layers)
    axes = {"input_ids": _ROWS_TOKENS, "encoder_attention_mask": _SOURCE, "logits": _ROWS_TOKENS}
    axes |= dict.fromkeys(pasts, _PAST) | dict.fromkeys(sources, _CROSS) | dict.fromkeys(presents, _PRESENT)
    steps = [
        (tokens[:, :new], mask, *_random_past(cross_caches, past), *cross_caches) for past, new in ((4, 3), (0, 1))
    ]
    inputs = ["input_ids", "encoder_attention_mask", *pasts, *sources]
    return encoder, Conversion(_DecoderStep(model), steps, inputs, ["logits", *presents], axes, fold_constants=False)


class _CausalStep(nn.Module):
    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model
        parameters = inspect.signature(model.forward).parameters
        self.inputs = ["input_ids", "attention_mask"]
        self.inputs += ["position_ids"] if "position_ids" in parameters else []
        self.inputs += ["num_logits_to_keep"] if "logits_to_keep" in parameters else []
        with torch.no_grad():
            output = model(input_ids=torch.tensor([[3, 4], [5, 6]]), use_cache=True)
        self.caches = _tensors_of(output.get("past_key_values"))
        self.layers = len(self.caches) // 2

    def sample(self, past: int = 4, new: int = 3) -> tuple[Tensor, ...]:
        """Two rows, one padded where there is a past."""
        mask = torch.ones(2, past + new, dtype=torch.long)
        mask[0, : min(past, 1)] = 0
        tensors = {
            "input_ids": torch.tensor([[3, 4, 5], [6, 7, 8]])[:, :new],
            "attention_mask": mask,
            "position_ids": (mask.cumsum(dim=1) - 1)[:, past:],
            "num_logits_to_keep": torch.tensor(min(new, 2)),
        }
        return (*(tensors[name] for name in self.inputs), *_random_past(self.caches, past))

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        arguments: dict[str, Any] = dict(zip(self.inputs, tensors, strict=False))
        if "num_logits_to_keep" in arguments:
            positions = torch.arange(arguments["input_ids"].shape[1])
            arguments["logits_to_keep"] = positions[-arguments.pop("num_logits_to_keep") :]
        cache = _cache_of(tensors[len(self.inputs) :])
        return self.model(**arguments, past_key_values=cache, use_cache=True).logits, *_tensors_of(cache)


class _Seq2SeqPart(nn.Module):
    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def decode(self, source: Tensor, mask: Tensor, input_ids: Tensor, cache: EncoderDecoderCache) -> Tensor:
        """The logits; fills the cache."""
        logits: Tensor = self.model(
            encoder_outputs=BaseModelOutput(last_hidden_state=source),
            attention_mask=mask,
            decoder_input_ids=input_ids,
            past_key_values=cache,
            use_cache=True,
        ).logits
        return logits


class _Encode(_Seq2SeqPart):
    """The encoder, and the cross-attention keys and values of its output."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, ...]:
        hidden = self.model.get_encoder()(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        # The decoder fills the cache, whatever its family names its projections; the graph keeps only these.
        cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        self.decode(hidden, attention_mask, input_ids[:, :1], cache)
        return hidden, *_tensors_of(cache.cross_attention_cache)


class _DecoderStep(_Seq2SeqPart):
    def forward(self, input_ids: Tensor, encoder_attention_mask: Tensor, *caches: Tensor) -> tuple[Tensor, ...]:
        pasts, crosses = caches[: len(caches) // 2], caches[len(caches) // 2 :]
        cache = EncoderDecoderCache(_cache_of(pasts), _cache_of(crosses))
        # The filled cross-attention cache replaces the encoder's output, of which only the length matters.
        logits = self.decode(crosses[0][:, 0, :, :1], encoder_attention_mask, input_ids, cache)
        return logits, *_tensors_of(cache.self_attention_cache)


def _cache_of(tensors: Sequence[Tensor]) -> DynamicCache:
    """Every layer keeps all tokens; sliding windows are in the masks."""
    cache = DynamicCache()
    for keys, values in zip(tensors[::2], tensors[1::2], strict=True):
        layer = DynamicLayer()
        layer.lazy_initialization(keys, values)
        layer.keys, layer.values = keys, values
        cache.layers.append(layer)
    return cache


def _tensors_of(cache: Cache | None) -> list[Tensor]:
    if cache is None or not all(isinstance(layer, DynamicLayer) for layer in cache.layers):
        raise InputError("model: it caches more than keys and values; choose a transformer with plain attention")
    return [tensor for layer in cache.layers for tensor in (layer.keys, layer.values)]


def _cache_names(stem: str, part: str, layers: int) -> list[str]:
    return [f"{stem}.{layer}.{part}{kind}" for layer in range(layers) for kind in ("key", "value")]


def _random_past(caches: Sequence[Tensor], tokens: int) -> list[Tensor]:
    return [torch.randn(2, cache.shape[1], tokens, cache.shape[3]) for cache in caches]
