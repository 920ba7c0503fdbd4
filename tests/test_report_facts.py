"""What the lines below a page's title say of its records."""

import pytest
from fake_records import fake_record
from sphinx_pages import render

from laghu import paths
from laghu.spec import Study

PROVENANCE = "---\norphan: true\n---\n\n# Provenance\n\n```{page-facts} cpu\n```\n"


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "results", lambda study: tmp_path / "results" / study)
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "provenance.md").write_text(PROVENANCE, encoding="utf-8")
    return tmp_path


def pages(folder, commits):
    """The page and the page of provenance, of runs with these commits."""
    for commit, spec in zip(commits, Study.load("cpu").runs, strict=False):
        fake_record(spec).model_copy(update={"commit": commit * 40}).save()
    page, warnings = render(folder, "# Page\n\n```{page-facts} cpu\n```\n", "laghu.report.facts_ext")
    assert not warnings
    return page, (folder / "html" / "book" / "provenance.html").read_text(encoding="utf-8")


def test_a_few_commits_are_named(results):
    page, _ = pages(results, "abca")
    assert all(f">{7 * commit}<" in page for commit in "abc") and "each beside its records" not in page


def test_many_commits_are_counted_and_named_on_the_page_of_provenance(results):
    page, provenance = pages(results, "abcda")
    assert ">4, each beside its records<" in page.replace("<span class=\"doc\">", "").replace("</span>", "")
    assert 'href="book/provenance.html"' in page and "aaaaaaa" not in page
    assert all(f">{7 * commit}<" in provenance for commit in "abcd")
