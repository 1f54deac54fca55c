"""Greedy and beam search on onnxruntime choose torch's tokens, and end where they should."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import serving.inference.generation.kv_cache
from serving.bundle.bundle import GraphFile
from serving.errors import BundleError, InputError, InputTooLarge
from serving.inference.generation.generate import generate, run
from serving.inference.generation.kv_cache import CausalSession, Seq2SeqSession
from serving.tasks.generation import Generated, GenerationParameters, Token, TokenRules
from tests.exported_generators import TinyGenerator, tiny_generator
from tests.tiny_generators import MAKERS

SETTINGS: dict[str, dict[str, Any]] = {
    "greedy": {},
    "greedy, rules": {"repetition_penalty": 1.3, "no_repeat_ngram_size": 2, "min_new_tokens": 8},
    "two beams": {"num_beams": 2},
    "four beams, all of them": {"num_beams": 4, "num_return_sequences": 4},
    "early stopping": {"num_beams": 3, "early_stopping": True, "num_return_sequences": 2},
    "never early": {"num_beams": 2, "early_stopping": "never", "max_new_tokens": 40},
    "long ones preferred": {"num_beams": 3, "length_penalty": 2.0},
    "no length penalty": {"num_beams": 4, "length_penalty": 0.0},
    "short ones preferred": {"num_beams": 4, "length_penalty": -1.0},
    "beams, rules": {"num_beams": 3, "repetition_penalty": 1.2, "no_repeat_ngram_size": 3, "min_new_tokens": 5},
    "one token": {"num_beams": 3, "max_new_tokens": 1},
}


@pytest.fixture(scope="module", params=MAKERS)
def tiny(request: pytest.FixtureRequest) -> TinyGenerator:
    """Each family by turns."""
    return tiny_generator(request.param)


def answers(tiny: TinyGenerator, prompt: list[int], settings: dict[str, Any], **more: Any) -> list[Generated]:
    parameters = GenerationParameters(**{"max_new_tokens": 20, **settings})
    return run(generate(tiny.session, prompt, parameters, eos_token_ids=[tiny.eos_token_id], **more))


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(SETTINGS)), ids=[*SETTINGS])
def test_tokens_are_torchs(tiny: TinyGenerator, number: int) -> None:
    """Every token is the one of transformers' generate. Each beam setting takes a third of the prompts."""
    settings = {"max_new_tokens": 20, **[*SETTINGS.values()][number]}
    beams = "num_beams" in settings
    for prompt in tiny.prompts()[number % 3 if beams else 0 :: 3 if beams else 1]:
        found = [answer.token_ids for answer in answers(tiny, prompt, settings)]
        assert found == tiny.torch_tokens(prompt, **settings)


def test_the_models_say_something(tiny: TinyGenerator) -> None:
    """The tiny models' answers are long, varied and different, so that equal tokens mean equal decoding."""
    found = [answers(tiny, prompt, {})[0] for prompt in tiny.prompts()]
    assert len({tuple(answer.token_ids) for answer in found}) == len(found)
    assert np.mean([len(set(answer.token_ids)) / len(answer.token_ids) for answer in found]) > 0.5
    assert {answer.finish_reason for answer in found} == {"eos_token", "length"}


def test_the_end_token_ends_an_answer(tiny: TinyGenerator) -> None:
    """It is the last token, and there only; an answer without it has all the tokens it may have."""
    for answer in (each for prompt in tiny.prompts() for each in answers(tiny, prompt, {})):
        ended = tiny.eos_token_id in answer.token_ids
        assert answer.finish_reason == ("eos_token" if ended else "length")
        place = answer.token_ids.index(tiny.eos_token_id) + 1 if ended else 20
        assert len(answer.token_ids) == place


def test_any_of_several_end_tokens_ends_an_answer(tiny: TinyGenerator) -> None:
    """A model may have more than one; greedy and beam search know them all, as torch does."""
    prompt = tiny.prompts()[2]
    second = answers(tiny, prompt, {})[0].token_ids[3]
    ends = [tiny.eos_token_id, second]
    for beams in (1, 3):
        parameters = GenerationParameters(max_new_tokens=20, num_beams=beams)
        (found,) = run(generate(tiny.session, prompt, parameters, eos_token_ids=ends))
        (wanted,) = tiny.torch_tokens(prompt, max_new_tokens=20, num_beams=beams, eos_token_id=ends)
        assert found.token_ids == wanted[: len(found.token_ids)]
        assert beams > 1 or (found.token_ids[-1] == second and found.finish_reason == "eos_token")


def test_without_end_tokens_answers_are_full(tiny: TinyGenerator) -> None:
    """A model need not have one."""
    for beams in (1, 2):
        parameters = GenerationParameters(max_new_tokens=30, num_beams=beams)
        for answer in run(generate(tiny.session, tiny.prompts()[0], parameters, eos_token_ids=[])):
            assert (len(answer.token_ids), answer.finish_reason) == (30, "length")


def test_beam_scores_are_transformers(tiny: TinyGenerator) -> None:
    """The log-probability over length ** penalty, as transformers reports it, best first."""
    prompt = tiny.prompts()[4]
    for penalty in (1.0, 0.0, 2.0):
        settings = {"num_beams": 4, "num_return_sequences": 3, "length_penalty": penalty, "max_new_tokens": 12}
        found = [answer.score for answer in answers(tiny, prompt, settings)]
        ids = torch.tensor([prompt])
        with torch.no_grad():
            output = tiny.model.generate(
                ids, attention_mask=torch.ones_like(ids), do_sample=False, return_dict_in_generate=True,
                output_scores=True, pad_token_id=0, **settings,
            )  # fmt: skip
        np.testing.assert_allclose(found, output.sequences_scores.tolist(), rtol=1e-3)
        assert found == sorted(found, reverse=True)


def test_a_greedy_score_is_the_same_formula(tiny: TinyGenerator) -> None:
    """The sum of the tokens' log-probabilities over their number, worked out from torch's own logits."""
    prompt = tiny.prompts()[1]
    (answer,) = answers(tiny, prompt, {"max_new_tokens": 6, "min_new_tokens": 6})
    with torch.no_grad():
        if tiny.kind == "t5":
            decoder = torch.tensor([[0, *answer.token_ids[:-1]]])
            logits = tiny.model(input_ids=torch.tensor([prompt]), decoder_input_ids=decoder).logits[0]
        else:
            logits = tiny.model(torch.tensor([prompt + answer.token_ids[:-1]])).logits[0, -6:]
    chosen = logits.log_softmax(-1)[range(6), answer.token_ids]
    assert answer.score == pytest.approx(chosen.mean().item(), rel=1e-3)


def test_a_long_prompt_is_read_in_chunks(tiny: TinyGenerator, monkeypatch: pytest.MonkeyPatch) -> None:
    """However the prompt is cut, the answer is the same."""
    prompt = max(tiny.prompts(), key=len)
    whole = answers(tiny, prompt, {})
    monkeypatch.setattr(serving.inference.generation.kv_cache, "CHUNK", 7)
    assert [answer.token_ids for answer in answers(tiny, prompt, {})] == [answer.token_ids for answer in whole]


def test_given_tokens_have_torchs_logits(tiny: TinyGenerator) -> None:
    """The session tells the logits of a text that is given, for the proof."""
    session, prompt = tiny.session, tiny.prompts()[3]
    with torch.no_grad():
        if isinstance(session, Seq2SeqSession):
            found = session.logits(prompt, [0, 7, 8, 9])
            ids = torch.tensor([[0, 7, 8, 9]])
            wanted = tiny.model(input_ids=torch.tensor([prompt]), decoder_input_ids=ids).logits[0].numpy()
        else:
            assert isinstance(session, CausalSession)
            found = session.logits(prompt)
            wanted = tiny.model(torch.tensor([prompt])).logits[0].numpy()
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() < 1e-4 * np.abs(wanted).max()


def test_the_models_positions_are_a_limit() -> None:
    """A causal model's prompt and answer together fill its positions and no more; torch's tokens until there."""
    tiny = tiny_generator("gpt2")
    prompt = (tiny.prompts()[2] * 10)[:120]
    (answer,) = answers(tiny, prompt, {"max_new_tokens": 50, "min_new_tokens": 50})
    assert (len(answer.token_ids), answer.finish_reason) == (8, "length")
    assert [answer.token_ids] == tiny.torch_tokens(prompt, max_new_tokens=8, min_new_tokens=8)
    with pytest.raises(InputTooLarge, match=r"inputs has 128 tokens; the model has 128 positions"):
        answers(tiny, (prompt * 2)[:128], {})


def test_an_empty_prompt_is_refused(tiny: TinyGenerator) -> None:
    """There is nothing to continue."""
    with pytest.raises(InputError, match="inputs has no tokens"):
        answers(tiny, [], {})


def test_a_rule_that_forbids_everything_is_told() -> None:
    """Once every token has been seen, the rule against any repetition leaves none."""
    tiny = tiny_generator("t5")
    parameters = GenerationParameters(max_new_tokens=300, no_repeat_ngram_size=1)
    with pytest.raises(InputError, match="no_repeat_ngram_size is 1: every token is forbidden"):
        run(generate(tiny.session, tiny.prompts()[0], parameters, eos_token_ids=[]))


MODES: list[dict[str, Any]] = [{}, {"num_beams": 3}, {"do_sample": True, "num_return_sequences": 2, "seed": 1}]


@pytest.mark.parametrize("settings", MODES)
def test_an_unwanted_answer_is_left(
    tiny: TinyGenerator, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between any two calls of a graph, the prompt's too, and between tokens: nothing more is worked out."""
    monkeypatch.setattr(serving.inference.generation.kv_cache, "CHUNK", 7)
    calls: list[int] = []
    graph = tiny.session._decoder if isinstance(tiny.session, Seq2SeqSession) else tiny.session._graph
    run_graph = graph.run
    monkeypatch.setattr(graph, "run", lambda *feeds: calls.append(1) or run_graph(*feeds))  # type: ignore[func-returns-value]
    parameters = GenerationParameters(max_new_tokens=20, min_new_tokens=20, **settings)
    told: list[Token] = []
    steps = generate(
        tiny.session, tiny.prompts()[2], parameters, eos_token_ids=[tiny.eos_token_id], on_token=told.append
    )
    done = [(len(calls), len(told)) for _ in steps]
    assert np.diff([(0, 0), *done], axis=0).max() == 1
    assert done[-1][0] >= 20
    left = generate(tiny.session, tiny.prompts()[2], parameters, eos_token_ids=[tiny.eos_token_id])
    next(left)
    calls.clear()
    left.close()
    assert not calls


@pytest.mark.slow
@pytest.mark.parametrize("settings", MODES)
def test_prompts_take_turns(tiny: TinyGenerator, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A step each, whatever their lengths: every answer, its score too, is to the bit the one that it is alone."""
    monkeypatch.setattr(serving.inference.generation.kv_cache, "CHUNK", 7)
    alone = [answers(tiny, prompt, settings) for prompt in tiny.prompts()]
    parameters = GenerationParameters(max_new_tokens=20, **settings)
    running = {
        number: generate(tiny.session, prompt, parameters, eos_token_ids=[tiny.eos_token_id])
        for number, prompt in enumerate(tiny.prompts())
    }
    together: dict[int, list[Generated]] = {}
    while running:
        for number, steps in list(running.items()):
            try:
                next(steps)
            except StopIteration as end:
                together[number] = end.value
                del running[number]
    assert [together[number] for number in range(len(alone))] == alone


def test_tokens_are_told_as_they_come(tiny: TinyGenerator) -> None:
    """The caller hears of each token before the next is worked out, and of the end with the last one."""
    told: list[Token] = []
    parameters = GenerationParameters(max_new_tokens=20)
    steps = generate(
        tiny.session, tiny.prompts()[1], parameters, eos_token_ids=[tiny.eos_token_id], on_token=told.append
    )
    told_by = [len(told) for _ in steps]
    (answer,) = answers(tiny, tiny.prompts()[1], {})
    assert [token.id for token in told] == answer.token_ids
    assert set(told_by) >= set(range(1, len(told) + 1))
    assert [token.finish_reason for token in told] == [None] * (len(told) - 1) + [answer.finish_reason]


def test_a_cache_is_as_large_as_told(tiny: TinyGenerator) -> None:
    """At the end of the longest answers, in bytes; the source's keys and values once."""
    prompt = tiny.prompts()[2]
    decoding = tiny.session.begin(prompt)
    for _ in decoding.read():
        pass
    decoding.select([0, 0, 0])
    for _ in range(9):
        decoding.step([5, 5, 5])
    source = (
        sum(array.nbytes for array in decoding._source.values() if array.dtype == np.float32)
        if tiny.kind == "t5"
        else 0
    )  # type: ignore[attr-defined]
    held = sum(array.nbytes for array in decoding._cache.values()) + source
    assert held == tiny.session.cache_bytes(len(prompt), 9, 3)


def test_beams_are_told_at_the_end(tiny: TinyGenerator) -> None:
    """Beam search knows its tokens when it is done; they come one by one all the same, answer by answer."""
    told: list[Token] = []
    found = answers(tiny, tiny.prompts()[1], {"num_beams": 3, "num_return_sequences": 2}, on_token=told.append)
    assert [[token.id for token in told if token.sequence == number] for number in (0, 1)] == [
        answer.token_ids for answer in found
    ]


def test_a_wrong_graph_is_refused() -> None:
    """Bytes that are no graph, and a graph of another kind, are told by the file's name."""
    with pytest.raises(BundleError, match=r"model\.onnx cannot be loaded"):
        CausalSession(GraphFile("model.onnx", b"nothing"))
    with pytest.raises(BundleError, match=r"encoder\.onnx cannot be loaded"):
        Seq2SeqSession(GraphFile("encoder.onnx", b""), GraphFile("decoder.onnx", b""), decoder_start_token_id=0)


RULES: dict[str, dict[str, Any]] = {
    "min_length": {"min_length": 18},
    "bad words": {"bad_words_ids": [[2], *([at] for at in range(20, 150)), *([at, 151] for at in range(150, 200))]},
    "suppressed": {"suppress_tokens": list(range(100, 160)), "begin_suppress_tokens": list(range(20, 100))},
    "forced": {"forced_bos_token_id": 7, "forced_eos_token_id": [2], "begin_suppress_tokens": [9, 10]},
    "all": {
        "min_length": 12,
        "bad_words_ids": [[30], [31, 32]],
        "suppress_tokens": [33, 34, 35],
        "begin_suppress_tokens": list(range(50, 90)),
        "forced_bos_token_id": 0,
        "forced_eos_token_id": [2],
    },
}


@pytest.mark.parametrize("name", ["all", *(pytest.param(name, marks=pytest.mark.slow) for name in [*RULES][:-1])])
@pytest.mark.parametrize("beams", [1, 3])
def test_rules_of_the_model(tiny: TinyGenerator, name: str, beams: int) -> None:
    """What a generation_config.json forbids or forces is torch's, greedy and in beams, beside other parameters."""
    rules, settings = TokenRules(**RULES[name]), {"num_beams": beams, "no_repeat_ngram_size": 2}
    changed = 0
    for prompt in [*tiny.prompts()[::3], tiny.prompts()[0][:1]]:
        found = [answer.token_ids for answer in answers(tiny, prompt, settings, rules=rules)]
        assert found == tiny.torch_tokens(prompt, max_new_tokens=20, **settings, **RULES[name])
        changed += found != tiny.torch_tokens(prompt, max_new_tokens=20, **settings)
    assert changed or name == "min_length"  # an answer may be long by itself
