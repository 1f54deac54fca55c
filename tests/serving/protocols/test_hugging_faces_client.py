"""huggingface_hub's client of real servers: what it sends beside the inputs is accepted, or refused in words."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError, ValidationError

from tests.serving.processes import ServerProcess

Servers = Callable[[str], ServerProcess]


@pytest.mark.slow
def test_generation(task_server: Servers) -> None:
    """It sends ``stream: false``; a stream is at /v1/completions."""
    client = InferenceClient(task_server("text-generation").url)
    text = client.text_generation("track order 5", max_new_tokens=4, do_sample=False, return_full_text=True)
    assert text.startswith("track order 5")
    with pytest.raises(ValidationError, match="/v1/completions streams"):
        list(client.text_generation("track order 5", max_new_tokens=4, stream=True))


@pytest.mark.slow
def test_summaries_and_translations(task_server: Servers) -> None:
    """Of a model that turns a text into a text, under each client's own name."""
    client = InferenceClient(task_server("text2text-generation").url)
    summary = client.summarization("track order 5", generate_parameters={"max_length": 9, "min_length": 2})
    assert summary.summary_text
    assert client.translation("track order 5").translation_text
    with pytest.raises(HfHubHTTPError, match="src_lang is 'en'; accepted here are: null"):
        client.translation("track order 5", src_lang="en", tgt_lang="de")


def test_labels_of_the_callers_own(server: ServerProcess) -> None:
    """A fine-tuned classifier says that it has its own."""
    with pytest.raises(HfHubHTTPError, match="candidate_labels: this model answers the labels of its training"):
        InferenceClient(server.url).zero_shot_classification("where is it?", candidate_labels=["a", "b"])
