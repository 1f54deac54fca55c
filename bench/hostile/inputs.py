"""The worst inputs that one caller on one connection is known to have: a name, and what it sends on a connection."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from bench.hostile.requests import MAX_BODY, chunked, for_ever, full_body, head, post, post_json


class Ending(StrEnum):
    """What the caller does when all is sent: reads to the end, hangs up at once, or reads nothing and stays."""

    reads = "reads"
    hangs_up = "hangs up"
    stays = "reads nothing"


@dataclass(frozen=True)
class Hostile:
    """``stream`` gives what one connection sends, in parts; it may be endless. Then the caller connects anew."""

    name: str
    stream: Callable[[], Iterable[bytes]]
    ending: Ending = Ending.reads
    model: str = "classifier"


WORDS = "where is my parcel and when do I get the money back for order 17 "
TEXT_100K = (WORDS * 2000)[:100_000]


def once(request: bytes) -> Callable[[], list[bytes]]:
    return lambda: [request]


def predict(inputs: object, **parameters: object) -> bytes:
    return post_json("/predict", {"inputs": inputs, "parameters": parameters})


def explain(text: str, **parameters: object) -> bytes:
    return post_json("/explain", {"inputs": text, "parameters": parameters})


def slowly(data: bytes) -> Iterator[bytes]:
    """A byte at a time, as fast as they are taken."""
    return (bytes([byte]) for byte in data)


def noise() -> Iterator[bytes]:
    yield random.Random(0).randbytes(60_000)


LIVE = b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"
SMALL = json.dumps({"inputs": "where is my parcel?"}).encode()
SMALL_POST = (
    b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(SMALL)
    + SMALL
)
ELEMENTS = b"\0\0\0\0" * 1_000_000
TENSORS = json.dumps({
    "inputs": [{
        "name": "text", "shape": [1_000_000], "datatype": "BYTES", "parameters": {"binary_data_size": len(ELEMENTS)},
    }]
}).encode()  # fmt: skip

CONNECTION = [
    Hostile("trailers without end", lambda: for_ever(chunked() + b"1\r\n{\r\n0\r\n", b"a:b\r\n")),
    Hostile("headers without end", lambda: for_ever(b"GET / HTTP/1.1\r\nHost: a\r\n", b"a: b\r\n")),
    Hostile("one header without end", lambda: for_ever(b"GET / HTTP/1.1\r\nHost: a\r\nx: ", b"a")),
    Hostile("a target without end", lambda: for_ever(b"GET /", b"a")),
    Hostile("head, a byte at a time", lambda: slowly(LIVE[:-1])),
    Hostile("body, a byte at a time", lambda: itertools.chain([post("/predict", b"", length=MAX_BODY)], slowly(SMALL))),
    Hostile("body in chunks of a byte, without end", lambda: for_ever(chunked(), b"1\r\na\r\n")),
    Hostile("chunk extension without end", lambda: for_ever(chunked() + b"1;", b"a=b;")),
    Hostile("chunk of 2⁶⁴ bytes", lambda: for_ever(chunked() + b"FFFFFFFFFFFFFFFF\r\n", b"a")),
    Hostile("blank lines without end", lambda: for_ever(b"", b"\r\n")),
    Hostile("random bytes", noise),
    Hostile("pipelined probes, answers unread", lambda: for_ever(b"", LIVE), Ending.stays),
    Hostile("pipelined predictions, answers unread", lambda: for_ever(b"", SMALL_POST), Ending.stays),
    Hostile("pipelined predictions, answers read", lambda: for_ever(b"", SMALL_POST)),
    Hostile("the OpenAPI document again and again", lambda: for_ever(b"", LIVE.replace(b"/livez", b"/openapi.json"))),
    Hostile("the metrics again and again", lambda: for_ever(b"", LIVE.replace(b"/livez", b"/metrics"))),
    Hostile("connects and hangs up, again and again", once(b""), Ending.hangs_up),
    Hostile("half a request, then hangs up", once(SMALL_POST[:-5]), Ending.hangs_up),
    Hostile("heads of 64 kB", once(head("GET", "/livez", *(f"x{at}: {'a' * 1000}" for at in range(62))))),
    Hostile("30,000 query parameters", once(head("GET", "/livez?" + "a=b&" * 15_000))),
    Hostile("a refused body that goes on", lambda: for_ever(chunked("/nowhere"), b"400\r\n" + b"a" * 1024 + b"\r\n")),
]  # fmt: skip

BODIES = [
    Hostile("41 texts of 100,000 characters", once(predict([TEXT_100K] * 41))),
    Hostile("41 texts of 100,000 characters, then hangs up", once(predict([TEXT_100K] * 41)), Ending.hangs_up),
    Hostile("128 texts of 2,000 characters", once(predict([TEXT_100K[:2000]] * 128))),
    Hostile("128 texts of 2,000 characters, then hangs up", once(predict([TEXT_100K[:2000]] * 128)), Ending.hangs_up),
    Hostile("a word of 100,000 letters", once(predict(["a" * 100_000] * 41))),
    Hostile("a word of 100,000 letters, cut from the left", once(
        predict(["a" * 100_000] * 41, truncation_direction="left"))),
    Hostile("41 texts that may not be cut", once(predict([TEXT_100K] * 41, truncate=False))),
    Hostile("100,000 ligatures of 18 letters", once(predict(["\ufdfa" * 100_000] * 13))),
    Hostile("100,000 combining marks", once(predict(["é" + "\u0301\u0323" * 49_999] * 20))),
    Hostile("emoji families", once(predict(["👨\u200d👩\u200d👧\u200d👦" * 14_000] * 11))),
    Hostile("4 MB of special tokens", once(predict([("[CLS][SEP][MASK]" * 7000)[:100_000]] * 41))),
    Hostile("4 MB of brackets", once(post("/predict", full_body(b'{"inputs": ', b"[", b"")))),
    Hostile("330,000 keys", once(post("/predict", b"{%s}" % b",".join(b'"%07d":1' % at for at in range(330_000))))),
    Hostile("two million numbers", once(post("/predict", full_body(b'{"inputs": [1', b",1", b"]}")))),
    Hostile("800,000 empty texts", once(post("/predict", full_body(b'{"inputs": [""', b',""', b"]}")))),
    Hostile("a number of 4 MB", once(post("/predict", full_body(b'{"inputs": 1', b"1", b"}")))),
    Hostile("4 MB of escapes", once(post("/predict", full_body(
        b'{"inputs": ["', b"\\u0000" * 99_999 + b'", "', b'"]}')))),
    Hostile("4 MB of empty JSON lines", once(
        post("/invocations", full_body(b"{}", b"\n", b"")).replace(b"application/json", b"application/jsonlines"))),
    Hostile("a million empty tensor elements", once(
        post("/v2/models/classifier/infer", TENSORS + ELEMENTS, f"Inference-Header-Content-Length: {len(TENSORS)}"))),
    Hostile("4 MB, then never the last byte", once(post("/predict", b" " * (MAX_BODY - 1), length=MAX_BODY))),
    Hostile("/explain, Shapley values of a long text", once(explain(TEXT_100K[:1400], method="shap"))),
    Hostile("/explain, Shapley values of a long text, then hangs up", once(
        explain(TEXT_100K[:1400], method="shap")), Ending.hangs_up),
    Hostile("/explain, occlusion of 100,000 characters", once(explain(TEXT_100K, granularity="token"))),
]  # fmt: skip

TAGS = [
    Hostile("1 MB of texts to tag", once(predict([TEXT_100K[:8000]] * 125)), model="tagger"),
    Hostile("16 texts of 8,000 characters to tag", once(predict([TEXT_100K[:8000]] * 16)), model="tagger"),
    Hostile("4 MB of texts to tag", once(predict([TEXT_100K] * 41)), model="tagger"),
    Hostile(
        "a tag for each of 50,000 letters",
        once(predict("a " * 50_000, aggregation_strategy="none", ignore_labels=[])),
        model="tagger",
    ),
]

MOST_TOKENS: dict[str, object] = {"max_new_tokens": 4096, "min_new_tokens": 4096}
DRAWN = MOST_TOKENS | {"do_sample": True, "num_return_sequences": 16}
STOP = ["a" * 1000] * 16
GENERATIONS = [
    Hostile("65,536 tokens × 16", once(predict("a", **DRAWN | {"max_new_tokens": 65_536})), model="generator"),
    Hostile("4,096 tokens × 16, then hangs up", once(predict("a", **DRAWN)), Ending.hangs_up, "generator"),
    Hostile("4,096 tokens × 16", once(predict("a", **DRAWN)), model="generator"),
    Hostile("16 beams, 4,096 tokens", once(predict("a", num_beams=16, **MOST_TOKENS)), model="generator"),
    Hostile("4,096 tokens, stop texts of 4 MB", once(predict("a", stop=["a" * 250_000] * 16)), model="generator"),
    Hostile("4,096 tokens, 16 stop texts of 1,000", once(predict("a", stop=STOP, **MOST_TOKENS)), model="generator"),
    Hostile("128 prompts of 2,000 characters", once(predict([TEXT_100K[:2000]] * 128)), model="generator"),
    Hostile("4 MB of prompts", once(predict([TEXT_100K] * 41)), model="generator"),
    Hostile("a stream that nobody reads", once(post_json(
        "/v1/completions", {"prompt": "a", "max_tokens": 4096, "stream": True})), Ending.stays, "generator"),
    Hostile("a stream, then hangs up", once(post_json(
        "/v1/completions", {"prompt": "a", "max_tokens": 4096, "stream": True})), Ending.hangs_up, "generator"),
]  # fmt: skip

HOSTILE = [*CONNECTION, *BODIES, *TAGS, *GENERATIONS]
