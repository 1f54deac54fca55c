"""report.html: one file that a browser shows as it is, whatever texts are in it."""

from __future__ import annotations

import re
from pathlib import Path

from trainer.run.report.page import render_page
from trainer.run.run import Run


def test_the_page_says_what_the_report_says(tiny_run: Run) -> None:
    """Every section is in the page and in its navigation, tables too, and figures lie inside."""
    text, page = tiny_run.report.read_text(), tiny_run.page.read_text()
    sections = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert sections
    links = dict(re.findall(r'<a href="#([^"]+)">([^<]+)</a>', page))
    assert list(links.values()) == sections
    assert all(f'id="{name}"' in page for name in links)
    assert page.count("<tr>") > 10
    assert page.count('src="data:image/png;base64,') == text.count("](figures/")
    assert not re.search(r'(src|href)="(?!data:image/png|#)', page)


def test_hostile_texts_stay_texts(tmp_path: Path) -> None:
    """Markup, links and pictures of others do nothing: nothing is fetched and nothing runs."""
    text = "<script>alert(1)</script> ![x](https://example.org/a.png) ![y](../../etc/passwd)"
    page = render_page(f"# a\n\n{text}", tmp_path)
    assert "<script>" not in page
    assert "example.org" not in page
    assert "passwd" not in page
    assert "default-src 'none'" in page
