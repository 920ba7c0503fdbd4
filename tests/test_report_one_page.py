"""The book as one document: what is printed, and where its links lead."""

from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from html_pages import Parts

from laghu.report import one_page

NASTY = '</style><script>alert("1")</script> \\ & "quoted"'
CONTENTS = {
    "root": "book/index",
    "parts": [{"caption": "Paper & more", "chapters": [{"file": "book/methods"}, {"file": "book/data"}]},
              {"caption": "Runs", "chapters": [{"file": "results/cpu/one.ipynb"}]}],
}
PAGES = {
    "book/index": "<h1>The book<a class='headerlink' href='#top'>#</a></h1><h2 id='ways'>Ways in</h2>",
    "book/methods": "<h1 id='title'>How, <em>exactly</em>,\n it is done</h1><h2 id='loss'>Loss</h2><h5>Smallest</h5>",
    "book/data": "<h1>Data</h1><p id='loss'>Loss of data</p>",
    "results/cpu/one": "<h1>One run</h1>",
}


@pytest.fixture
def make(tmp_path):
    """The book above with something added to one page; returns that page's article."""

    def made(page: str = "book/methods", more: str = "") -> BeautifulSoup:
        return next(chapter for part in parts(tmp_path, page, more) for chapter in part.chapters
                    if chapter.page == page).article

    return made


def parts(site: Path, page: str = "book/methods", more: str = "") -> list[one_page.Part]:
    for name, html in PAGES.items():
        file = site / f"{name}.html"
        file.parent.mkdir(parents=True, exist_ok=True)
        body = html + (more if name == page else "")
        file.write_text(f"<html><body><nav>Not this</nav><article class='bd-article'>{body}</article></body></html>",
                        encoding="utf-8")
    return one_page.parts(site, CONTENTS)


def document(book: list[one_page.Part], title: str = "Title", pages: dict[str, int] | None = None) -> str:
    return one_page.document(book, title, ["By <em>us</em>"], "p {}", ["file:///maths.js"], pages or {})


def test_parts_and_chapters_are_those_of_the_contents(tmp_path):
    book = parts(tmp_path)
    assert [(part.title, [(chapter.page, chapter.title) for chapter in part.chapters]) for part in book] == [
        ("", [("book/index", "The book")]),
        ("Paper & more", [("book/methods", "How, exactly, it is done"), ("book/data", "Data")]),
        ("Runs", [("results/cpu/one", "One run")]),
    ]


@pytest.mark.parametrize(
    ("href", "expected"),
    [
        ("#loss", "#book-methods--loss"),
        ("data.html#loss", "#book-data--loss"),
        ("../book/data.html", "#book-data"),
        ("../results/cpu/one.html", "#results-cpu-one"),
        ("data.html#no-such-place", "#book-data"),
        ("#", "#book-methods"),
        ("https://arxiv.org/abs/2409.14162", "https://arxiv.org/abs/2409.14162"),
        ("../_downloads/abc/record.json", None),
        ("../results/cpu/another.html", None),
    ],
)
def test_a_link_leads_to_its_place_in_the_document_or_is_text(make, href, expected):
    (marked,) = make(more=f'<p class="marked">See <a href="{href}">there</a>.</p>').select(".marked")
    assert marked.get_text() == "See there."
    assert [link["href"] for link in marked.select("a")] == ([expected] if expected else [])


def test_every_link_within_the_document_has_its_one_target(tmp_path):
    html = document(parts(tmp_path, more='<a href="data.html#loss">a</a><a href="index.html#ways">b</a>'))
    elements = Parts(html).elements
    ids = [given["id"] for _, given in elements if "id" in given]
    inside = [given["href"][1:] for tag, given in elements if tag == "a" and given["href"].startswith("#")]
    assert len(ids) == len(set(ids))
    assert len(inside) == 6 and set(inside) <= set(ids)  # four lines of contents and two links


def test_what_only_a_screen_has_is_left_out(make):
    article = make(more="""
        <script type="application/json">gone</script> <button>gone</button> <div hidden><p>gone</p></div>
        <p class="laghu-data"><a class="download" href="../_downloads/x.csv">gone</a></p>
        <p class="laghu-data">The data are <em>kept</em>.</p> <p class="noprint">gone</p>
        <noscript><p>Kept for <b>paper</b></p></noscript>""")
    assert "gone" not in article.get_text() and "#" not in article.get_text()
    assert "The data are kept." in article.get_text()
    assert article.b.get_text() == "paper" and not article.select("noscript")


def test_headings_stand_below_their_part_and_the_first_page_above_all(make):
    assert [(tag.name, tag.get_text(" ").split()[0]) for tag in make().find_all(["h1", "h2", "h3", "h4", "h5", "h6"])] \
        == [("h2", "How,"), ("h3", "Loss"), ("h6", "Smallest")]
    assert [tag.name for tag in make("book/index").find_all(["h1", "h2", "h3"])] == ["h1", "h2"]


def test_images_are_files_of_the_site_or_stand_in_the_page(make, tmp_path):
    article = make(more='<img src="../_images/a%20b.svg"><img src="data:image/png;base64,AAAA">')
    assert [image["src"] for image in article.select("img")] == [
        (tmp_path / "_images" / "a b.svg").as_uri(), "data:image/png;base64,AAAA"]


def test_contents_name_every_part_and_chapter_with_the_page_if_it_is_known(tmp_path):
    html = document(parts(tmp_path), pages={"book-index": 3, "book-data": 12})
    nav = BeautifulSoup(html, "html.parser").nav
    assert [line.get_text(" ", strip=True) for line in nav.select("li")] == [
        "The book 3", "Paper & more", "How, exactly, it is done", "Data 12", "Runs", "One run"]
    assert len(nav.select("span.page")) == 4  # the place of a number is kept free


def test_text_is_never_markup(tmp_path):
    title = NASTY.replace("&", "&amp;").replace("<", "&lt;")
    book = parts(tmp_path, "book/data", f"<p>{title}</p>")
    book = [*book, one_page.Part(NASTY, [one_page.Chapter("nasty", NASTY, book[0].chapters[0].article)])]
    page = Parts(document(book, NASTY))
    scripts = [given.get("src") for tag, given in page.elements if tag == "script"]
    assert scripts == [None, "file:///maths.js"]  # the settings of MathJax, and MathJax
    assert [tag for tag, _ in page.elements].count("style") == 1
    shown = ["".join(text for text, around in page.texts if any(each.tag == tag for each in around))
             for tag in ("title", "nav", "article")]
    assert all(NASTY in text for text in shown)


def test_the_head_of_each_page_is_a_string_that_no_title_ends(tmp_path):
    book = [one_page.Part("", [one_page.Chapter("a/b", NASTY, parts(tmp_path)[0].chapters[0].article)])]
    html = document(book)
    style = html[html.index("<style>"):html.index("</style>")]
    assert style.endswith('@page a-b { @top-right { content: '
                          '"\\3c /style>\\3c script>alert(\\"1\\")\\3c /script> \\\\ & \\"quoted\\""; } }\n')
