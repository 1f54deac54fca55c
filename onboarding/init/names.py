"""What names of columns tell, in the ways that people write them: ``createdAt``, ``Customer ID``, ``is_spam``."""

from __future__ import annotations

import re

TEXTS = (
    "text", "sentence", "review", "message", "body", "content", "comment", "utterance", "query", "question",
    "description", "tweet", "document", "post", "transcript", "passage", "article", "snippet", "headline", "abstract",
    "title", "subject", "request", "feedback", "note", "input", "prompt", "premise", "文本", "内容", "texte", "texto",
    "testo", "nachricht",
)  # fmt: skip
LABELS = (
    "label", "labels", "class", "category", "categories", "intent", "target", "sentiment", "topic", "topics", "tag",
    "tags", "emotion", "emotions", "judgment", "judgement", "gold", "verdict", "stance", "polarity", "rating", "stars",
    "score", "grade", "spam", "toxic", "toxicity", "relatedness", "similarity", "type", "y", "department", "priority",
    "annotation", "outcome", "标签", "类别", "kategorie", "categoria", "etiqueta",
)  # fmt: skip
SCORES = ("score", "similarity", "relatedness", "sim", "rating", "stars", "grade", "gold", "price", "value")
GROUPS = (
    "user", "customer", "client", "author", "speaker", "patient", "person", "member", "account", "session",
    "conversation", "dialog", "dialogue", "thread", "ticket", "case", "document", "doc", "article", "page", "site",
    "domain", "source", "book", "film", "movie", "product", "family", "group", "cluster", "company", "hospital",
)  # fmt: skip
TIMES = ("date", "time", "timestamp", "datetime", "created", "published", "posted", "updated", "sent", "received", "at")
SETS = ("split", "set", "subset", "partition", "fold", "dataset", "usage")
IDS = ("id", "ids", "uuid", "guid", "idx", "index", "key", "nr", "no", "num", "number", "rowid", "unnamed", "hash")

PAIRS = (
    ("premise", "hypothesis"), ("query", "passage"), ("query", "document"), ("query", "answer"), ("question", "answer"),
    ("question", "context"), ("question", "passage"), ("question", "sentence"), ("text", "text_pair"),
    ("anchor", "positive"), ("query", "positive"), ("claim", "evidence"), ("context", "response"),
)  # fmt: skip
"""Of texts that are read together."""

PROMPTS = (
    ("prompt", "completion"), ("prompt", "response"), ("prompt", "answer"), ("instruction", "output"),
    ("instruction", "response"), ("input", "output"),
)  # fmt: skip
REWRITINGS = (
    ("text", "summary"), ("article", "highlights"), ("article", "summary"), ("document", "summary"),
    ("dialogue", "summary"), ("source", "target"), ("text", "target"), ("input", "target"), ("source", "translation"),
    ("text", "translation"), ("body", "headline"),
)  # fmt: skip
"""Of a text and what is made of it."""


TARGETS = (
    "target", "output", "completion", "response", "answer", "summary", "highlights", "translation", "reply", "label",
)  # fmt: skip
"""Of texts that are generated."""


def words_of(name: str) -> list[str]:
    """In lower case: ``createdAt`` is created and at."""
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return [word for word in re.split(r"[^\w]+|_|(?<=\D)(?=\d)", parted.casefold()) if word]


def rank(name: str, hints: tuple[str, ...]) -> int:
    """The higher, the more usual; 0 for a name without any of the hints."""
    words = words_of(name)
    places = [hints.index(word) for word in words if word in hints]
    return len(hints) - min(places) if places else 0


def is_id(name: str) -> bool:
    return any(word in IDS for word in words_of(name))


def is_usual(name: str) -> bool:
    """Whether a header may say this: one or two known words."""
    words = words_of(name)
    known = {*TEXTS, *LABELS, *GROUPS, *TIMES, *SETS, *IDS}
    return 0 < len(words) <= 3 and any(word in known for word in words) and len(name) <= 30


def find_pair(names: list[str], pairs: tuple[tuple[str, str], ...]) -> tuple[str, str] | None:
    """The columns of one of these pairs of names, whatever their case."""
    plain = {"_".join(words_of(name)): name for name in names}
    return next(((plain[a], plain[b]) for a, b in pairs if a in plain and b in plain), None)


def find_twins(names: list[str]) -> tuple[str, str] | None:
    """Two columns whose names differ in 1 and 2, or a and b, alone."""
    for one in names:
        for other in names:
            if _twin(one) == other and one != other:
                return one, other
    return None


def _twin(name: str) -> str:
    """The name that the second text has, if this is the first one's."""
    found = re.fullmatch(r"(.*?)(1|a|A|0|left|first)", name)
    if not found:
        return name
    return found[1] + {"1": "2", "a": "b", "A": "B", "0": "1", "left": "right", "first": "second"}[found[2]]
