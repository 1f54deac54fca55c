"""A mean-pooled BERT classifier as transformers' own tools load it: copied beside a checkpoint, which names it.

Nothing but torch and transformers is imported, of whatever version a peer has.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from transformers import BertModel, BertPreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput


class MeanPooledForSequenceClassification(BertPreTrainedModel):  # type: ignore[misc]
    """The mean of the token vectors, one linear layer: ``logits`` ``[texts, labels]``."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.bert = BertModel(config, add_pooling_layer=False)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None, **_: Any
    ) -> SequenceClassifierOutput:
        """As transformers' own classifiers."""
        tokens = self.bert(input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids).last_hidden_state
        mask = attention_mask[..., None].to(tokens.dtype)
        return SequenceClassifierOutput(logits=self.classifier((tokens * mask).sum(1) / mask.sum(1)))
