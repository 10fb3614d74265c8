"""The examples on the page docs/other_tools.md run. Each section of the page is one test."""

import re
from pathlib import Path

import pytest
from pages import failures_in

PAGE = Path(__file__).parents[2] / "docs" / "other_tools.md"


def sections(text):
    """The sections of a page by title; the lines before a section are empty, so that line numbers are kept."""
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("## ")]
    for start, stop in zip(starts, [*starts[1:], len(lines)], strict=True):
        yield lines[start][3:], "\n" * start + "\n".join(lines[start:stop])


SECTIONS = {title: text for title, text in sections(PAGE.read_text(encoding="utf-8")) if ">>>" in text}


@pytest.mark.parametrize("title", SECTIONS, ids=[re.sub(r"\W+", "-", title) for title in SECTIONS])
def test_section_runs(title, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert failures_in(SECTIONS[title], PAGE.name) == ""


def test_failures_in_sections_are_found():
    page = "# Title\n\n## First\n\n```python\n>>> 1 + 1\n2\n```\n\n## Second\n\n```python\n>>> 1 + 1\n3\n```\n"
    (first, right), (second, wrong) = sections(page)
    assert (first, second) == ("First", "Second")
    assert failures_in(right) == ""
    assert "line 13" in failures_in(wrong)
