"""A mean-pooled BERT classifier for transformers, copied beside a checkpoint. It needs only torch and transformers."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from transformers import BertModel, BertPreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput


class MeanPooledForSequenceClassification(BertPreTrainedModel):  # type: ignore[misc]
    """One linear layer on the mean of the token vectors: ``logits`` ``[texts, labels]``."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.bert = BertModel(config, add_pooling_layer=False)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None, **_: Any
    ) -> SequenceClassifierOutput:
        tokens = self.bert(input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids).last_hidden_state
        mask = attention_mask[..., None].to(tokens.dtype)
        return SequenceClassifierOutput(logits=self.classifier((tokens * mask).sum(1) / mask.sum(1)))
