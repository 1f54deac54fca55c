"""The README in English and in Chinese: whoever reads either does the same."""

from __future__ import annotations

import re

import pytest

from tests.paths import ROOT

ENGLISH, CHINESE = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh.md"))
FENCE = re.compile(r"^```(sh|console)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
ANY_FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
VERB = re.compile(r"`((?:tuneship|make|docker run|bentoml) [^`]*)`")


def commands(readme: str) -> list[str]:
    """The lines of its blocks, without comments."""
    lines = [line for _, block in FENCE.findall(readme) for line in block.splitlines()]
    return [re.sub(r"\s+# .*", "", line) for line in lines]


def test_the_blocks_have_the_same_commands() -> None:
    """Only comments are translated."""
    assert commands(CHINESE) == commands(ENGLISH)


def test_the_tables_have_the_same_commands() -> None:
    """Each command that one README names in its text, the other names too."""
    english, chinese = (set(VERB.findall(ANY_FENCE.sub("", readme))) for readme in (ENGLISH, CHINESE))
    assert chinese == english


@pytest.mark.parametrize(("readme", "other"), [(ENGLISH, "README.zh.md"), (CHINESE, "README.md")], ids=["en", "zh"])
def test_each_links_the_other(readme: str, other: str) -> None:
    """At its top."""
    assert f"]({other})" in "\n".join(readme.splitlines()[:6])


def test_every_figure_is_the_same() -> None:
    """What was measured does not depend on the language."""

    def figures(readme: str, heading: str) -> list[str]:
        part = readme.partition(f"## {heading}")[2].partition("\n## ")[0].partition("\n\n")[2].partition("\n\n")[0]
        return sorted(re.findall(r"\d+(?:\.\d+)?", part.replace("four", "").replace("three", "")))

    assert figures(CHINESE, "实测") == figures(ENGLISH, "Measured")
