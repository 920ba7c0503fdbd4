import pandas as pd
import pytest
from html_pages import Parts

from laghu.report.policy_ext import POLICY, policy, without_styles


def directives(page: str, maths: bool = False) -> dict[str, set[str]]:
    return {name: set(sources) for name, *sources in map(str.split, policy(page, maths).split(";"))}


@pytest.mark.parametrize("page", ["book/index", "results/cpu/baseline-seed1", "search", "book/live"])
@pytest.mark.parametrize("maths", [False, True])
def test_no_page_runs_what_stands_in_it_nor_asks_another_host(page, maths):
    given = directives(page, maths)
    assert given["default-src"] == {"'none'"}
    for sources in given.values():
        assert not {"'unsafe-inline'", "'unsafe-eval'", "*", "http:", "https:"} & sources
        assert not [source for source in sources if "://" in source]


def test_the_page_with_the_model_may_compile_webassembly_and_nothing_else():
    ordinary, live = directives("book/index"), directives("book/live")
    assert live.pop("script-src") - ordinary.pop("script-src") == {"'wasm-unsafe-eval'"}
    assert live == ordinary


def test_pages_with_maths_may_have_the_style_sheets_of_mathjax_and_nothing_else():
    ordinary, maths = directives("book/methods"), directives("book/methods", maths=True)
    more = maths.pop("style-src") - ordinary.pop("style-src")
    assert more and all(source.startswith("'sha256-") for source in more)
    assert maths == ordinary


def test_every_page_has_every_directive_once():
    assert [part.split()[0] for part in policy("book/live", True).split(";")] == list(POLICY)


def test_tables_of_pandas_lose_their_styles_and_nothing_else():
    table = pd.DataFrame({"x": ["a style='b' c", 'd <style>e</style> style="f"']})
    html = table._repr_html_()
    assert "<style" in html and 'style="text-align' in html
    bare = without_styles(html)
    assert "<style" not in bare and 'style="text-align' not in bare
    assert [text for text, _ in Parts(bare).texts if text.strip()] == ["x", "0", *table["x"][:1], "1", *table["x"][1:]]
    assert without_styles("<p class='x' style='y' id=\"z\">style=\"1\"</p>") == "<p class='x' id=\"z\">style=\"1\"</p>"
