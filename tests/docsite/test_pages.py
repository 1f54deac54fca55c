"""The site's pages: which files they are, and their links as the site has them."""

from __future__ import annotations

import pytest

from docsite.pages import BrokenLink, move_links, pages


def test_every_page_of_docs_has_a_place_and_no_two_share_one() -> None:
    """The README is the home page; docs/README.md, which GitHub shows for the folder, the list of all pages."""
    places = pages()
    assert places["README.md"] == "index.md"
    assert places["docs/README.md"] == "contents.md"
    assert places["docs/deploy/lambda.md"] == "deploy/lambda.md"
    assert len(set(places.values())) == len(places)


def test_links_between_pages_follow_them_to_their_places() -> None:
    """Anchors stay, whether the page was beside the linking one, above it, or moved."""
    assert move_links("[a](docs/proof.md#sign)", "README.md") == "[a](proof.md#sign)"
    assert move_links("[a](../../README.md#deploy)", "docs/deploy/ecs.md") == "[a](../index.md#deploy)"
    assert move_links("![a](proof-gate.svg) [b](#here)", "docs/proof.md") == "![a](proof-gate.svg) [b](#here)"


def test_links_to_other_sites_and_what_code_shows_stay() -> None:
    """A fence or a code span that looks like a link is none; a code span as a link's text is."""
    code = "`[a](x.md)` [`b`](proof.md)\n```sh\necho '[c](y.md)'\n```\n[d](https://example.org/x.md)"
    assert move_links(code, "docs/http.md") == code


def test_a_file_that_is_no_page_is_linked_where_the_repository_is() -> None:
    """Without the repository's address the link's text is left."""
    link = "see [deploy/ecs](../../deploy/ecs)."
    assert move_links(link, "docs/deploy/ecs.md", "https://example.org/x/") == (
        "see [deploy/ecs](https://example.org/x/deploy/ecs)."
    )
    assert move_links(link, "docs/deploy/ecs.md") == "see deploy/ecs."


@pytest.mark.parametrize("link", ["[a](no-such-page.md)", "[a](../../outside.md)"])
def test_a_link_that_leads_nowhere_is_an_error(link: str) -> None:
    """It names the page."""
    with pytest.raises(BrokenLink, match=r"docs/http\.md"):
        move_links(link, "docs/http.md")
