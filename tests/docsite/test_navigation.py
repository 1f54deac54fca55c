"""The site's navigation follows docs/README.md."""

from __future__ import annotations

import tomllib

from docsite.navigation import listed, navigation, to_toml
from docsite.pages import ROOT

LIST = """\
# All pages

- [Not in a part](proof.md)

## How-tos

- [HTTP](http.md): words

### Deploy it

- [ECS](deploy/ecs.md)

### Nothing yet

## Project

- [Changelog](../CHANGELOG.md)
"""


def test_parts_hold_pages_and_the_headings_below_them() -> None:
    """In the order of the list, at their places on the site; a heading without pages is left out."""
    assert navigation(LIST)[2:] == [
        {"How-tos": [{"HTTP": "http.md"}, {"Deploy it": [{"ECS": "deploy/ecs.md"}]}]},
        {"Project": [{"Changelog": "changelog.md"}]},
    ]


def test_the_parts_are_what_readers_want() -> None:
    """To learn, to get something done, to look something up, to understand."""
    titles = [title for part in navigation((ROOT / "docs" / "README.md").read_text()) for title in part]
    assert titles == ["Home", "All pages", "Tutorials", "How-tos", "Reference", "Explanations", "Project"]


def test_every_listed_page_exists() -> None:
    """And is listed once."""
    assert len(listed()) == len(set(listed()))
    assert all((ROOT / name).is_file() for name in listed())


def test_it_is_written_as_toml() -> None:
    """Quotes, backslashes and other scripts in titles come back as they were."""
    value = [{'A "b" \\ c': "a.md"}, {"中文": [{"x": "y.md"}]}]
    assert tomllib.loads(f"nav = {to_toml(value)}")["nav"] == value
