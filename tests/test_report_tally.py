"""Counts of a test on a page: in a sentence, as a table, and where there are none."""

import json

import pytest
from sphinx_pages import render

from laghu import paths

TALLY = {
    "command": "make kill-test KILLS=1234 SEED=5",
    "counts": {"kills": 1234, "by place": {"a <b>record</b>": 7, "`laghu study` itself": 2}, "lost": 0},
    "seed": 5, "seconds": 90.0, "ended": "2026-05-04T03:02:01+00:00", "commit": "0123456789abcdef" * 2 + "01234567",
    "hardware": {"cpu": "A processor", "threads": 2, "gpu": None}, "versions": {},
}
PAGE = """# Page

After {tally}`kill-test#kills` kills, {tally}`kill-test#lost` were lost and
{tally}`kill-test#by place/a <b>record</b>` hit.

```{tally} kill-test
What was counted.
```
"""


@pytest.fixture
def page(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "results", lambda study: tmp_path / "results" / study)

    def make(content: str | None, text: str = PAGE) -> tuple[str, str]:
        folder = tmp_path / "results" / "robustness"
        folder.mkdir(parents=True)
        if content is not None:
            (folder / "kill-test.json").write_text(content, encoding="utf-8")
        return render(tmp_path, text, "laghu.report.tally_ext", "laghu.report.facts_ext")

    return make


def test_counts_stand_in_the_sentence_and_in_the_table(page):
    html, warnings = page(json.dumps(TALLY))
    assert not warnings
    assert html.count(">1,234<") >= 1 and "What was counted." in html
    assert "make kill-test KILLS=1234 SEED=5" in html and "A processor" in html and "2026-05-04" in html
    assert "a &lt;b&gt;record&lt;/b&gt;" in html and "<b>record</b>" not in html
    assert '<span class="pre">laghu</span> <span class="pre">study</span></code> itself' in html
    assert 'id="tally-kill-test"' in html and 'href="#tally-kill-test"' in html


def test_what_was_not_counted_says_so(page):
    html, warnings = page(None)
    assert not warnings and html.count("not run yet") == 4


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"counts": 3}'])
def test_what_is_no_tally_is_a_warning(page, content):
    _, warnings = page(content)
    assert "kill-test.json is no tally; run the test again" in warnings


def test_a_name_that_is_not_there_is_a_warning_that_says_what_is(page):
    _, warnings = page(json.dumps(TALLY), "# Page\n\n{tally}`kill-test#deaths`\n")
    there = "kills, by place/a <b>record</b>, by place/`laghu study` itself, lost"
    assert f"no count 'deaths' in kill-test; there are {there}" in warnings


def test_sums_come_before_those_of_a_kind(page):
    html, _ = page(json.dumps(TALLY))
    assert html.index(">Kills<") < html.index(">Lost<") < html.index(">By place<")


def test_a_page_that_rests_on_a_tally_says_so(page):
    text = "# Page\n\n```{page-facts} tally/kill-test\n```\n\n```{tally} kill-test\n```\n"
    html, warnings = page(json.dumps(TALLY), text)
    facts = html[: html.index("<table")]
    assert not warnings and 'href="#tally-kill-test"' in facts and "tally of kill-test" in facts
    assert "A processor" in facts and "2026-05-04" in facts and ">0123456<" in facts


def test_a_page_that_rests_on_a_tally_that_is_not_there_says_so_too(page):
    html, warnings = page(None, "# Page\n\n```{page-facts} tally/kill-test\n```\n")
    assert not warnings and "tally of kill-test" in html and "not run yet" in html
