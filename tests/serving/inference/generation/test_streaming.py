"""Text comes in pieces that are never taken back, never cut a character, and join to the text of the whole."""

from __future__ import annotations

import functools
import random
from collections.abc import Sequence

import pytest

from serving.inference.generation.detokenizer import INCOMPLETE, Detokenizer, TextStream
from serving.inference.generation.generate import generate
from serving.inference.generation.generate import run as run_to_end
from serving.inference.generation.stop_texts import StopTexts
from serving.tasks.generation import Generated, GenerationParameters, Token
from tests.exported_generators import TinyGenerator, tiny_generator
from tests.tiny_generators import MAKERS, PROMPTS, tiny_corpus


@pytest.fixture(scope="module", params=MAKERS)
def tiny(request: pytest.FixtureRequest) -> TinyGenerator:
    """Each family by turns."""
    return tiny_generator(request.param)


@functools.cache
def plain_ids(kind: str, text: str) -> tuple[int, ...]:
    return tuple(tiny_generator(kind).tokenizer(text, add_special_tokens=False).input_ids)


def pieces(tiny: TinyGenerator, ids: Sequence[int], context: Sequence[int] = (), stop: Sequence[str] = ()) -> list[str]:
    stream = TextStream(tiny.detokenizer, context=context, stop=StopTexts(stop))
    found = []
    for token in ids:
        found.append(stream.put(token))
        if stream.stopped:
            break
    return [*found, stream.end()]


def whole(tiny: TinyGenerator, ids: Sequence[int], context: Sequence[int] = ()) -> str:
    detokenizer = tiny.detokenizer
    return detokenizer.text([*context, *ids])[len(detokenizer.text(context)) :]


@pytest.mark.parametrize("text", [*PROMPTS, *tiny_corpus()[::9]])
def test_pieces_join_to_the_text(tiny: TinyGenerator, text: str) -> None:
    """Scripts, emoji, combining marks, spaces: the pieces are the whole, and none has half a character in it."""
    ids = plain_ids(tiny.kind, text)
    found = pieces(tiny, ids)
    assert "".join(found) == whole(tiny, ids) == tiny.tokenizer.decode(ids, skip_special_tokens=True)
    assert not any(INCOMPLETE in piece for piece in found)


def test_pieces_come_early(tiny: TinyGenerator) -> None:
    """Nothing is held back that is certain: plain words come with their own tokens."""
    ids = plain_ids(tiny.kind, "Where is my order? I want my money back")
    assert all(piece for piece in pieces(tiny, ids)[1:-1])


def test_any_tokens_join_to_the_text(tiny: TinyGenerator) -> None:
    """Also tokens that no text has: special ones, lone bytes, halves of characters in any order."""
    draw = random.Random(0)
    size = len(tiny.tokenizer)
    for _ in range(400):
        low, high = draw.choice([(0, size), (3, min(size, 260)), (200, size)])
        ids = [draw.randrange(low, max(high, low + 1)) if low < size else 0 for _ in range(draw.randint(1, 25))]
        context = list(plain_ids(tiny.kind, draw.choice(PROMPTS))) if draw.random() < 0.5 else []
        assert "".join(pieces(tiny, ids, context)) == whole(tiny, ids, context), (ids, context)


def test_a_character_of_several_tokens_comes_whole() -> None:
    """A code point's bytes are held until the last has come, then shown at once."""
    tiny = tiny_generator("gpt2")
    ids = plain_ids("gpt2", "x🧭y")
    assert len(ids) > 4
    assert [piece for piece in pieces(tiny, ids) if piece] == ["x", "🧭", "y"]


def test_a_run_of_bytes_is_held_until_it_ends() -> None:
    """One byte that does not belong turns a run of byte tokens into U+FFFD: what was shown must not have to change."""
    tiny = tiny_generator("llama")
    compass = [3 + byte for byte in "🧭".encode()]
    assert tiny.tokenizer.decode(compass) == "🧭"
    assert tiny.tokenizer.decode([*compass, 3 + 0xFF]) == INCOMPLETE * 5
    letter = plain_ids("llama", "y")[-1]
    assert pieces(tiny, [*compass, letter]) == ["", "", "", "", "🧭y", ""]
    assert pieces(tiny, compass) == ["", "", "", "", "🧭"]
    assert "".join(pieces(tiny, [*compass, 3 + 0xFF, letter])) == INCOMPLETE * 5 + "y"


def test_a_continued_word_keeps_its_space(tiny: TinyGenerator) -> None:
    """The first piece begins as it does in the whole text, though a decoder drops a text's first space."""
    first, rest = plain_ids(tiny.kind, "I want"), plain_ids(tiny.kind, "I want my money")
    new = rest[len(first) :]
    assert "".join(pieces(tiny, new, first)) == " my money"


@pytest.mark.parametrize("stop", ["money", "y m", "back", "k!", "I", " "])
def test_the_text_ends_before_a_stop_text(tiny: TinyGenerator, stop: str) -> None:
    """However the stop text is cut into tokens, none of it is ever shown."""
    text = "I want my money back!"
    found = pieces(tiny, plain_ids(tiny.kind, text), stop=["never there", stop])
    assert "".join(found) == text[: text.index(stop)]


def test_what_may_become_a_stop_text_is_held_back(tiny: TinyGenerator) -> None:
    """The beginning of a stop text is shown once it is certain that it is not one."""
    text = "I want my money back!"
    found = pieces(tiny, plain_ids(tiny.kind, text), stop=["my moth"])
    assert "".join(found) == text
    assert not any(piece.endswith("my mo") for piece in found)
    found = pieces(tiny, plain_ids(tiny.kind, text), stop=["back!!"])
    assert "".join(found) == text
    assert found[-1].endswith("back!"), "it is given at the end"


def test_the_earliest_stop_text_counts(tiny: TinyGenerator) -> None:
    """Whatever their order in the request, also when one token brings two of them."""
    ids = plain_ids(tiny.kind, "I want my money back!")
    assert "".join(pieces(tiny, ids, stop=["back", "my", "money"])) == "I want "
    words = [each for each in tiny.tokenizer.get_vocab().items() if each[0].isascii() and each[0].isalpha()]
    name, token = max(words, key=lambda each: len(set(each[0])))
    assert len(name) > 3
    assert pieces(tiny, [token], stop=[name[3], name[1]]) == [name[0], ""]


def test_special_tokens_have_no_text(tiny: TinyGenerator) -> None:
    """An end token at the end or in the middle is not shown."""
    first, second = plain_ids(tiny.kind, "I want"), plain_ids(tiny.kind, "I want my money")
    ids = [*first, tiny.eos_token_id, *second[len(first) :], tiny.eos_token_id]
    assert "".join(pieces(tiny, ids)) == "I want my money"


def run(tiny: TinyGenerator, prompt: list[int], **settings: object) -> tuple[list[Generated], list[Token]]:
    told: list[Token] = []
    parameters = GenerationParameters(max_new_tokens=20, **settings)  # type: ignore[arg-type]
    steps = generate(
        tiny.session,
        prompt,
        parameters,
        eos_token_ids=[tiny.eos_token_id],
        detokenizer=tiny.detokenizer,
        on_token=told.append,
    )
    return run_to_end(steps), told


@pytest.mark.parametrize(
    "settings",
    [{}, {"num_beams": 3, "num_return_sequences": 2}, {"do_sample": True, "seed": 4, "num_return_sequences": 3}],
)
def test_an_answer_is_the_text_of_its_tokens(tiny: TinyGenerator, settings: dict[str, object]) -> None:
    """Streamed pieces, joined, are the answer's text, and that is what its tokens add to the prompt's text."""
    for prompt in tiny.prompts():
        answers, told = run(tiny, prompt, **settings)
        before = [] if tiny.kind == "t5" else prompt
        for number, answer in enumerate(answers):
            assert answer.text == "".join(token.text for token in told if token.sequence == number)
            assert answer.text == whole(tiny, answer.token_ids, before)


@pytest.mark.slow
@pytest.mark.parametrize("beams", [1, 3])
def test_generation_ends_at_a_stop_text(tiny: TinyGenerator, beams: int) -> None:
    """The tokens are those that transformers stops at; the text ends before the stop text."""
    tried = 0
    for prompt in tiny.prompts():
        (answer,), _ = run(tiny, prompt, num_beams=beams)
        stop = next((each for each in visible(answer.text) if each not in tiny.detokenizer.text(prompt)), None)
        if stop is None:
            continue
        (stopped,), _ = run(tiny, prompt, num_beams=beams, stop=[stop])
        wanted = tiny.torch_tokens(
            prompt, max_new_tokens=20, num_beams=beams, stop_strings=[stop], tokenizer=tiny.tokenizer
        )
        if beams == 1:
            assert stopped.finish_reason == "stop_sequence"
            assert answer.text.startswith(stopped.text)
        assert stop not in stopped.text
        assert stopped.token_ids == wanted[0][: len(stopped.token_ids)]
        tried += 1
    assert tried >= 6


def visible(text: str) -> list[str]:
    """Pairs of characters from the middle of a text that a request might hold."""
    pairs = [text[at : at + 2] for at in range(len(text) // 3, len(text) - 1)]
    return [pair for pair in pairs if INCOMPLETE not in pair and pair.isprintable()]


def test_a_stop_text_needs_a_detokenizer() -> None:
    """It cannot be looked for in token ids."""
    tiny = tiny_generator("gpt2")
    with pytest.raises(ValueError, match="detokenizer"):
        next(generate(tiny.session, [1], GenerationParameters(stop=["a"]), eos_token_ids=[]))


def test_a_vocabulary_that_names_bytes_without_reading_them_holds_nothing_back() -> None:
    """Only a decoder with byte fallback makes bytes of such tokens."""
    assert not any(Detokenizer(tiny_generator("gpt2").tokenizer.backend_tokenizer).is_open(each) for each in range(400))
    assert Detokenizer(tiny_generator("llama").tokenizer.backend_tokenizer).is_open(3)
