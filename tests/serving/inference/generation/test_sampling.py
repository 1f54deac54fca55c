"""Drawn answers are repeatable by their seed and follow the probabilities that transformers would draw by."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from transformers.generation import logits_process

from serving.inference.generation.decode_request import DecodeRequest
from serving.inference.generation.generate import generate, run
from serving.inference.generation.logits_processors import log_softmax, probabilities, process_logits
from serving.tasks.generation import Generated, GenerationParameters
from tests.exported_generators import TinyGenerator, tiny_generator
from tests.tiny_generators import MAKERS


@pytest.fixture(scope="module", params=MAKERS)
def tiny(request: pytest.FixtureRequest) -> TinyGenerator:
    """Each family by turns."""
    return tiny_generator(request.param)


def drawn(tiny: TinyGenerator, prompt: list[int], **settings: Any) -> list[Generated]:
    # Not validated: a test may draw more answers than a request.
    parameters = GenerationParameters.model_construct(**{"max_new_tokens": 12, "do_sample": True, **settings})
    return run(generate(tiny.session, prompt, parameters, eos_token_ids=[tiny.eos_token_id]))


def tokens(answers: list[Generated]) -> list[list[int]]:
    return [answer.token_ids for answer in answers]


def test_a_seed_repeats_an_answer(tiny: TinyGenerator) -> None:
    """The same seed gives the same tokens; other seeds give others."""
    prompt = tiny.prompts()[2]
    first = tokens(drawn(tiny, prompt, seed=7, temperature=2.0))
    assert tokens(drawn(tiny, prompt, seed=7, temperature=2.0)) == first
    others = {str(tokens(drawn(tiny, prompt, seed=seed, temperature=2.0))) for seed in range(8, 18)}
    assert len(others) == 10
    assert str(first) not in others


def test_a_seed_that_was_not_given_is_told(tiny: TinyGenerator) -> None:
    """An answer drawn without a seed can be had again by the seed it reports."""
    prompt = tiny.prompts()[1]
    (first,), (second,) = drawn(tiny, prompt), drawn(tiny, prompt)
    assert first.seed != second.seed
    assert tokens(drawn(tiny, prompt, seed=first.seed)) == [first.token_ids]


def test_answers_drawn_together_are_those_drawn_alone(tiny: TinyGenerator) -> None:
    """Each answer has random numbers of its own: how many are asked for does not change the first of them."""
    prompt = tiny.prompts()[5]
    many = drawn(tiny, prompt, seed=3, num_return_sequences=5, temperature=3.0)
    assert len({tuple(each) for each in tokens(many)}) == 5
    assert tokens(drawn(tiny, prompt, seed=3, num_return_sequences=2, temperature=3.0)) == tokens(many[:2])
    assert tokens(drawn(tiny, prompt, seed=3, temperature=3.0)) == tokens(many[:1])


def test_the_random_stream_is_fixed() -> None:
    """These tokens were drawn once, on one machine; every other draws them too."""
    tiny = tiny_generator("gpt2")
    (answer,) = drawn(tiny, tiny.prompts()[1], seed=20_240, temperature=1.5, max_new_tokens=8)
    assert answer.token_ids == [387, 1, 50, 186, 100, 15, 344, 239]


def test_one_candidate_is_greedy(tiny: TinyGenerator) -> None:
    """A draw among one token, or at a temperature near zero, is the greedy choice."""
    prompt = tiny.prompts()[3]
    greedy = tokens(drawn(tiny, prompt, do_sample=False))
    for settings in ({"top_k": 1}, {"top_p": 1e-300}, {"temperature": 1e-30}):
        assert tokens(drawn(tiny, prompt, seed=1, **settings)) == greedy


def test_frequencies_follow_the_probabilities() -> None:
    """Of 2,000 first tokens, each comes as often as its probability says, within four standard deviations."""
    tiny = tiny_generator("llama")
    prompt, number = tiny.prompts()[1], 2_000
    settings: dict[str, Any] = {"temperature": 1.2, "top_k": 6}
    with torch.no_grad():
        logits = tiny.model(torch.tensor([prompt])).logits[0, -1].numpy()
    expected = probabilities(logits, GenerationParameters(do_sample=True, **settings)) * number
    answers = drawn(tiny, prompt, seed=0, num_return_sequences=number, max_new_tokens=1, **settings)
    counts = np.bincount([answer.token_ids[0] for answer in answers], minlength=len(expected))
    spread = np.sqrt(expected * (1 - expected / number))
    assert np.count_nonzero(expected) == 6
    assert (np.abs(counts - expected) <= 4 * spread).all()


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": 0.3},
        {"temperature": 3.0},
        {"top_k": 1},
        {"top_k": 5},
        {"top_k": 1000},
        {"top_p": 0.01},
        {"top_p": 0.5},
        {"top_p": 0.95},
        {"temperature": 0.7, "top_k": 20, "top_p": 0.8},
    ],
)
def test_probabilities_are_transformers(settings: dict[str, Any]) -> None:
    """Temperature, top-k and top-p leave the tokens and the probabilities that transformers' own classes leave."""
    scores = torch.randn(20, 60, generator=torch.Generator().manual_seed(1)) * 3
    warped = scores
    makers = {
        "temperature": logits_process.TemperatureLogitsWarper,
        "top_k": logits_process.TopKLogitsWarper,
        "top_p": logits_process.TopPLogitsWarper,
    }
    for name, maker in makers.items():
        if name in settings:
            warped = maker(settings[name])(torch.zeros(20, 1, dtype=torch.long), warped)
    found = [probabilities(row, GenerationParameters(do_sample=True, **settings)) for row in scores.numpy()]
    np.testing.assert_allclose(found, warped.softmax(-1).numpy(), atol=1e-6)
    np.testing.assert_array_equal(np.asarray(found) > 0, warped.numpy() > -np.inf)


@pytest.mark.parametrize("size", [1, 2, 3, 9, 30])
def test_rules_are_transformers(size: int) -> None:
    """Repetition penalty, forbidden repetitions and early end tokens change what transformers' classes change."""
    generator = torch.Generator().manual_seed(size)
    sequences = torch.randint(0, 12, (6, 20), generator=generator)
    scores = torch.randn(6, 40, generator=generator)
    parameters = GenerationParameters(repetition_penalty=1.7, no_repeat_ngram_size=size, min_new_tokens=5)
    wanted = scores.clone()
    for rule in (
        logits_process.RepetitionPenaltyLogitsProcessor(1.7),
        logits_process.NoRepeatNGramLogitsProcessor(size),
        logits_process.MinNewTokensLengthLogitsProcessor(16, 5, [3, 20]),
    ):
        wanted = rule(sequences, wanted)
    before = scores.numpy().copy()
    found = process_logits(scores.numpy(), sequences.tolist(), 4, DecodeRequest(parameters, [], [3, 20], 30))
    np.testing.assert_array_equal(found, wanted.numpy())
    np.testing.assert_array_equal(scores.numpy(), before)


def test_log_softmax_is_torchs() -> None:
    """Within float32's rounding, and without overflow."""
    scores = torch.tensor([[1e4, -1e4, 0.0], [0.1, 0.2, 0.3]])
    np.testing.assert_allclose(log_softmax(scores.numpy()), scores.log_softmax(-1).numpy(), rtol=1e-6)
