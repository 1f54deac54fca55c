"""A checkpoint that others trained becomes a run: `source` says what it is, `transformers_model` and `sentence_model`
load it as one of `trainer.model.heads`, `labels` and `rows` meet its labels with the rows', `write_run` writes.
"""
