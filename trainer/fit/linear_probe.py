"""The classifier's first weights, fitted to the base model's vectors of a few training rows a label.

Fine-tuning then begins with a head that knows the labels, and bends the backbone less (LP-FT: Kumar et al. 2022,
"Fine-tuning can distort pretrained features and underperform out-of-distribution"). It needs fewer steps.
"""

from __future__ import annotations

import numpy as np
import torch

from serving.errors import InputError
from trainer.fit.few_shot import (
    Linear,
    describe_labels,
    fit_classifier,
    of_length_1,
    sample_examples,
    text_vectors,
)
from trainer.fit.trainer import TaskTrainer
from trainer.model.heads import Model, PooledClassifier
from trainer.recipe.sections import FewShot
from trainer.setup.training_setup import TrainingSetup

FIELD = "training.probe_examples_per_label"


def check_probe(setup: TrainingSetup, model: Model) -> None:
    """Raises InputError where there is no head to fit."""
    if setup.carried:
        raise InputError(f"{FIELD}: the head of {setup.base.id} goes on; leave it out", field=FIELD)
    if not isinstance(model, PooledClassifier):
        raise InputError(
            f"{FIELD}: fits a linear layer on a pooled vector, and transformers' own head has more; give"
            " model_head.pooling: mean",
            field=FIELD,
        )


def fit_head(setup: TrainingSetup, trainer: TaskTrainer) -> None:
    """In the training's own precision; labels' names are one more example each, as in few-shot runs."""
    settings, splits, model = setup.recipe.training, setup.splits, trainer.model
    assert settings.probe_examples_per_label is not None
    examples = splits.train.take(
        sample_examples(splits.train, splits.labels, settings.probe_examples_per_label, settings.seed)
    )
    items = [item for inputs in examples.inputs for item in setup.training_task.items(setup.task, inputs)]
    items += describe_labels(FewShot(examples_per_label=0), splits.labels)
    with torch.autocast(trainer.args.device.type, dtype=torch.bfloat16, enabled=trainer.bf16):
        vectors = text_vectors(model, setup.tokenizer, setup.task, items, settings.per_device_eval_batch_size)
    unit, count = of_length_1(vectors), len(examples)
    numbers = [splits.labels.index(target) for target in examples.targets]
    fitted = fit_classifier(unit[:count], numbers, unit[count:], settings.seed)
    length = np.linalg.norm(vectors, axis=1).mean(dtype=np.float32)
    Linear(fitted.weight / length, fitted.bias).copy_to(model)
