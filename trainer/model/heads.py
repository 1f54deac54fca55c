"""The models: a backbone, and a head that turns its token vectors into ``{"logits": …}``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeGuard

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize
from transformers import PreTrainedModel

WIDEST = 2**17
ACTIVATIONS: dict[str, type[nn.Module]] = {
    "identity": nn.Identity, "tanh": nn.Tanh, "relu": nn.ReLU, "gelu": nn.GELU,
}  # fmt: skip


@dataclass(frozen=True)
class Dense:
    """A linear layer behind the vector, under sentence-transformers' names; raises ValueError."""

    in_features: int
    out_features: int
    bias: bool = True
    activation_function: str = "tanh"

    def __post_init__(self) -> None:
        if self.activation_function not in ACTIVATIONS:
            raise ValueError(f"activation_function: {self.activation_function!r} is none of {', '.join(ACTIVATIONS)}")
        for name in ("in_features", "out_features"):
            value = getattr(self, name)
            if type(value) is not int or not 0 < value <= WIDEST:
                raise ValueError(f"{name}: {value!r} is no whole number from 1 to {WIDEST:,}")

    def to_module(self) -> nn.Sequential:
        linear = nn.Linear(self.in_features, self.out_features, bias=self.bias)
        return nn.Sequential(linear, ACTIVATIONS[self.activation_function]())


class UntiedModule(nn.Module):
    """Its state has tied weights several times: safetensors refuses shared memory."""

    def state_dict(self, *args: Any, **options: Any) -> Any:
        seen: set[int] = set()
        state = super().state_dict(*args, **options)
        for name, value in state.items():
            if value.data_ptr() in seen:
                state[name] = value.clone()
            seen.add(value.data_ptr())
        return state


class OwnModel(UntiedModule):
    """A transformers backbone with a head of this project."""

    def __init__(self, backbone: PreTrainedModel) -> None:
        super().__init__()
        self.config = backbone.config
        self.backbone = backbone

    def put_backbone(self, backbone: nn.Module) -> None:
        self.backbone = backbone

    def activation_checkpointing_enable(self, **options: Any) -> None:
        self.backbone.activation_checkpointing_enable(**options)


class PooledModel(OwnModel):
    """A vector per text: pooled, through the ``dense`` layers, to length 1 where it is ``normalized``."""

    def __init__(
        self,
        backbone: PreTrainedModel,
        pooling: str,
        layers: int = 1,
        *,
        dense: Sequence[Dense] = (),
        normalized: bool = False,
    ) -> None:
        super().__init__(backbone)
        self.pooling = pooling
        self.layers = layers
        self.dense = nn.Sequential(*(each.to_module() for each in dense))
        self.normalized = normalized
        self.width = dense[-1].out_features if dense else pooled_width(self.config, pooling, layers)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> dict[str, Tensor]:
        tokens = self.tokens(input_ids, attention_mask, token_type_ids)
        return {"logits": self.embed(tokens, attention_mask), "last_hidden_state": tokens}

    def vectors(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None) -> Tensor:
        return self.embed(self.tokens(input_ids, attention_mask, token_type_ids), attention_mask)

    def tokens(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None) -> Tensor:
        types = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        return last_layers(self.backbone, self.layers, input_ids=input_ids, attention_mask=attention_mask, **types)

    def embed(self, tokens: Tensor, attention_mask: Tensor) -> Tensor:
        vectors: Tensor = self.dense(pool(tokens, attention_mask, self.pooling))
        return normalize(vectors, dim=-1) if self.normalized else vectors


class PooledClassifier(PooledModel):
    """Logits [windows, labels]."""

    def __init__(self, backbone: PreTrainedModel, pooling: str, logits: int, **head: Any) -> None:
        super().__init__(backbone, pooling, **head)
        self.dropout = nn.Dropout(getattr(backbone.config, "hidden_dropout_prob", 0.1))
        self.classifier: Any = nn.Linear(self.width, logits)  # or a module that an extension builds

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> dict[str, Tensor]:
        return {"logits": self.classifier(self.dropout(self.vectors(input_ids, attention_mask, token_type_ids)))}


class LayeredTagger(OwnModel):
    """Logits [windows, tokens, labels] from the last layers."""

    def __init__(self, backbone: PreTrainedModel, layers: int, logits: int) -> None:
        super().__init__(backbone)
        self.layers = layers
        self.dropout = nn.Dropout(getattr(backbone.config, "hidden_dropout_prob", 0.1))
        self.classifier: Any = nn.Linear(layers * vector_width(backbone.config), logits)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, **inputs: Tensor) -> dict[str, Tensor]:
        tokens = last_layers(self.backbone, self.layers, input_ids=input_ids, attention_mask=attention_mask, **inputs)
        return {"logits": self.classifier(self.dropout(tokens))}


class SpanModel(LayeredTagger):
    """Start and end logits [windows, tokens, 2]."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor, **inputs: Tensor) -> dict[str, Tensor]:
        logits = super().forward(input_ids, attention_mask, **inputs)["logits"]
        return {"logits": without_padding(logits, attention_mask)}


class LibraryModel(UntiedModule):
    """A task model of transformers; start and end become logits [windows, tokens, 2]."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.config = model.config
        self.model = model
        name = model.base_model_prefix
        self._name = name if getattr(model, name, model) is not model else ""

    @property
    def backbone(self) -> nn.Module:
        """The whole where transformers does not separate the head."""
        backbone: nn.Module = getattr(self.model, self._name) if self._name else self.model
        return backbone

    def put_backbone(self, backbone: nn.Module) -> None:
        if self._name:
            setattr(self.model, self._name, backbone)
        else:
            self.model = backbone

    def forward(self, input_ids: Tensor, attention_mask: Tensor, **inputs: Tensor) -> dict[str, Tensor]:
        output = self.model(input_ids=input_ids, attention_mask=attention_mask, **inputs)
        if "start_logits" not in output:
            return {"logits": output.logits.float()}
        logits = torch.stack([output.start_logits, output.end_logits], dim=-1).float()
        return {"logits": without_padding(logits, attention_mask)}

    def activation_checkpointing_enable(self, **options: Any) -> None:
        self.model.activation_checkpointing_enable(**options)


class GeneratingModel(LibraryModel):
    """It has no fresh head."""


Model = OwnModel | LibraryModel


def last_layers(backbone: nn.Module, layers: int, **inputs: Tensor) -> Tensor:
    """Each token's concatenated vectors, [windows, tokens, layers * hidden], fp32."""
    if layers == 1:
        last: Tensor = backbone(**inputs).last_hidden_state.float()
        return last
    output = backbone(output_hidden_states=True, **inputs)
    states = output.get("hidden_states") or output.decoder_hidden_states
    return torch.cat(states[-layers:], dim=-1).float()


def pool(hidden: Tensor, attention_mask: Tensor, pooling: str) -> Tensor:
    """[windows, poolings * hidden] of [windows, tokens, hidden]; ``pooling`` joins names of POOLINGS by ``+``."""
    vectors = [POOLINGS[name](hidden, attention_mask) for name in pooling.split("+")]
    return vectors[0] if len(vectors) == 1 else torch.cat(vectors, dim=-1)


def mean_of_tokens(hidden: Tensor, attention_mask: Tensor) -> Tensor:
    """[windows, hidden] of [windows, tokens, hidden], fp32."""
    mask = attention_mask.unsqueeze(-1).float()
    return (hidden.float() * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1.0)


def first_of_tokens(hidden: Tensor, attention_mask: Tensor) -> Tensor:
    """Texts are padded on the right."""
    return hidden[:, 0]


def max_of_tokens(hidden: Tensor, attention_mask: Tensor) -> Tensor:
    return hidden.masked_fill(attention_mask.unsqueeze(-1) == 0, torch.finfo(hidden.dtype).min).amax(dim=1)


def sum_by_root_of_length(hidden: Tensor, attention_mask: Tensor) -> Tensor:
    mask = attention_mask.unsqueeze(-1).float()
    return (hidden.float() * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1.0).sqrt()


def weighted_mean_of_tokens(hidden: Tensor, attention_mask: Tensor) -> Tensor:
    """The first token weighs 1, the second 2 …"""
    return mean_of_tokens(hidden, attention_mask.cumsum(dim=1) * attention_mask)


def last_of_tokens(hidden: Tensor, attention_mask: Tensor) -> Tensor:
    """The vector of each last token that is no padding, on whichever side that is."""
    places = torch.arange(1, hidden.shape[1] + 1, device=hidden.device) * attention_mask
    others = places != places.amax(dim=1, keepdim=True)
    return hidden.masked_fill(others.unsqueeze(-1), 0.0).sum(dim=1)  # a graph of a gather would not know the width


POOLINGS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mean": mean_of_tokens,
    "cls": first_of_tokens,
    "last": last_of_tokens,
    "max": max_of_tokens,
    "mean_sqrt_len_tokens": sum_by_root_of_length,
    "weightedmean": weighted_mean_of_tokens,
}
"""By the names of `trainer.recipe.sections.Pooling`."""


def without_padding(logits: Tensor, attention_mask: Tensor) -> Tensor:
    """Logits [windows, tokens, 2]; those of padding are the lowest float, for a softmax over the tokens."""
    return logits.masked_fill(attention_mask.unsqueeze(-1) == 0, torch.finfo(torch.float32).min)


def vector_width(config: Any) -> int:
    """Of a token's last vector; OPT may project it back to the width of its embeddings."""
    return int(getattr(config, "word_embed_proj_dim", None) or config.hidden_size)


def pooled_width(config: Any, pooling: str, layers: int = 1) -> int:
    return layers * vector_width(config) * len(pooling.split("+"))


def backbone_of(model: Model) -> nn.Module:
    backbone: nn.Module = model.backbone
    return backbone


def set_bias(model: Model, bias: Sequence[float]) -> None:
    """Set the bias of a fresh head's last linear layer, where the shapes agree."""
    layer = output_layer(model)
    if layer is not None and layer.bias is not None and len(layer.bias) == len(bias):
        with torch.no_grad():
            layer.bias.copy_(torch.tensor(bias))


def output_layer(model: Model) -> nn.Linear | None:
    """The head's last linear layer."""
    layers = [layer for module in head_of(model) for layer in module.modules() if isinstance(layer, nn.Linear)]
    return layers[-1] if layers else None


def has_own_head(model: Model) -> TypeGuard[PooledClassifier | LayeredTagger]:
    """Whether the head has weights, and is this project's."""
    return isinstance(model, (PooledClassifier, LayeredTagger))


def has_foreign_head(model: Model) -> bool:
    """Whether an extension has built it."""
    return has_own_head(model) and not isinstance(model.classifier, nn.Linear)


def head_of(model: Model) -> list[nn.Module]:
    """The modules that are learned anew: neither the backbone nor the dense layers behind it; none of a generator."""
    if isinstance(model, GeneratingModel):
        return []
    backbone = backbone_of(model)
    whole = model if isinstance(model, OwnModel) else model.model
    kept = (backbone, getattr(model, "dense", None))
    return [child for child in whole.children() if child not in kept]


Head = Literal["sequence", "token", "span", "vector", "causal", "seq2seq"]
"""Logits per text, logits per token, start and end per token, a vector per text, or generated text (two kinds)."""

GENERATING: tuple[Head, ...] = ("causal", "seq2seq")
