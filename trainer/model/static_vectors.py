"""A backbone without layers: a vector for each token of the vocabulary, whatever stands beside it.

transformers opens its checkpoint only where this module is imported.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

MODEL_TYPE = "tuneship-static"
INPUTS = ("input_ids", "attention_mask")


class StaticConfig(PretrainedConfig):  # type: ignore[misc]
    model_type = MODEL_TYPE

    def __init__(self, vocab_size: int = 2, hidden_size: int = 2, **options: Any) -> None:
        super().__init__(**options)
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size


class StaticVectors(PreTrainedModel):  # type: ignore[misc]
    config_class = StaticConfig
    base_model_prefix = "static"

    def __init__(self, config: StaticConfig) -> None:
        super().__init__(config)
        self.embeddings = nn.Embedding(config.vocab_size, config.hidden_size)
        self.post_init()

    def get_input_embeddings(self) -> nn.Embedding:
        return self.embeddings

    def forward(self, input_ids: Tensor, **others: Any) -> BaseModelOutput:
        return BaseModelOutput(last_hidden_state=self.embeddings(input_ids))


AutoConfig.register(MODEL_TYPE, StaticConfig)
AutoModel.register(StaticConfig, StaticVectors)
