"""A reader tries the model: a real browser, a served page, and Python's classifier beside it.

The page stands on a site of its own, with a model of random weights; probabilities are also asked of the model that the
book ships, where it does.
"""

import gzip
import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from shipped_model import LABELS, MAX_LENGTH, make
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils

from laghu import corpora, sample
from laghu.inference import Classifier, tokenizer_of
from laghu.report import live
from laghu.shipping import files, manifest
from laghu.shipping.manifest import Manifest

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
expect = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed").expect

REPOSITORY = Path(__file__).parents[2]
HEADLINE = "पुण्यात पावसाची जोरदार हजेरी"
# All that the page needs; images are for the browser, which asks for the site's icon.
POLICY = ("default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; connect-src 'self'; "
          "img-src 'self'")
MARKUP = """<img src=x onerror="window.broken=1"><script>window.broken=1</script><b>ठळक</b>"""


# ------------------------------------------------------------------------------------------------ the site


@pytest.fixture(scope="module")
def static(tmp_path_factory) -> Path:
    """A checkout's `book/_static` with a model of random weights."""
    folder = tmp_path_factory.mktemp("home") / "book" / "_static"
    folder.mkdir(parents=True)
    for name in ("fonts", "lib", "live", "laghu.css"):
        (folder / name).symlink_to(REPOSITORY / "book" / "_static" / name)
    make(folder / "model")
    return folder


@pytest.fixture(scope="module")
def folder(static) -> Path:
    """The rendered page in the book's theme, and by itself under a strict policy."""
    home = static.parents[1]
    (home / "index.md").write_text("# A model to try\n\n```{live-model}\n```\n\n## Card\n\n```{model-card}\n```\n",
                                   encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch, patch_docutils(), docutils_namespace():
        patch.setenv("LAGHU_HOME", str(home))
        Sphinx(home, None, home / "html", home / "doctrees", "html", status=None, confoverrides={
            "extensions": ["myst_parser", "laghu.report.live_ext"], "html_theme": "sphinx_book_theme",
            "html_static_path": ["book/_static"], "html_css_files": ["laghu.css"], "html_favicon": None,
        }).build()
        alone = f"""<!doctype html><html lang="en" data-theme="light"><title>Alone</title>
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<link rel="stylesheet" href="_static/live/live.css"><script defer src="_static/live/live.js"></script>
{live.skeleton(manifest.load(), static)}"""
    (home / "html" / "alone.html").write_text(alone, encoding="utf-8")
    (home / "html" / "favicon.ico").write_bytes(b"")
    return home / "html"


@pytest.fixture(scope="module")
def server(folder, serve) -> str:
    """This site in place of the book, for the fixtures of `conftest`."""
    return serve(folder)


def load(page, model: str = "small") -> None:
    page.locator(f".laghu-live-load[data-model={model}]").click()
    expect(page.locator(f"td.laghu-live-first[data-of={model}]")).to_have_count(1, timeout=60_000)


def opened(open_page: Callable, *arguments: str, **options):
    """The page with the small model loaded."""
    page = open_page(*arguments, **options)
    page.goto("index.html")
    load(page)
    return page


def pieces(page, model: str = "small"):
    return page.locator(f".laghu-live-read[data-of={model}] li")


# ------------------------------------------------------------------------------------------------ the same as Python's


@pytest.fixture(scope="module", params=["random weights", "the book's"])
def shipped(request, static) -> Path:
    """A folder of static files with a model in it."""
    if request.param == "random weights":
        return static
    if manifest.load(REPOSITORY / "book" / "_static" / "model") is None:
        pytest.skip("no model is shipped in this checkout")
    return REPOSITORY / "book" / "_static"


_ANSWERS = """async ([url, name, texts]) => {
  const { load } = await import(`${url}live/classifier.js`);
  const files = { weights: `${url}model/${name}.onnx.gz`, vocabulary: `${url}model/${name}.vocabulary.gz` };
  const model = await load(files, () => {});
  const answers = [];
  for (const text of texts) {
    const { read, probabilities } = await model.classify(text);
    answers.push({ ids: read.map((token) => token.id), probabilities });
  }
  return answers;
}"""


@pytest.mark.parametrize("name", ["small", "teacher"])
def test_ids_and_probabilities_are_pythons(name, shipped, open_page, serve, tmp_path):
    made = manifest.load(shipped / "model")
    if getattr(made, name) is None:
        pytest.skip("the teacher is too large to be shipped")
    files.unpack(shipped / "model", name, made.labels, tmp_path)
    texts = unseen(made)
    expected = Classifier(tmp_path, threads=1).probabilities(texts)
    tokenizer = tokenizer_of(tmp_path)
    tokenizer.enable_truncation(made.max_length)

    for part in ("lib", "live", "model"):
        (tmp_path / part).symlink_to(shipped / part)
    (tmp_path / "index.html").write_text("<!doctype html><title>Empty</title><link rel=icon href=data:,>")
    url = serve(tmp_path)
    page = open_page(base_url=url)
    page.goto("index.html")
    found = page.evaluate(_ANSWERS, [url, name, texts])
    assert [answer["ids"] for answer in found] == [tokenizer.encode(text).ids for text in texts]
    differences = np.abs(np.array([answer["probabilities"] for answer in found]) - expected).max(axis=1)
    if name == "small":
        assert differences.max() < 1e-3
    # Through several layers of integers, a value at the edge of two that is rounded to the other one can be seen.
    assert np.mean(differences < 1e-3) >= 0.9 and differences.max() < 0.1


def unseen(made: Manifest) -> list[str]:
    """Fifty headlines that taught no model: official test ones where they are at hand, or else invented ones."""
    if made.corpus == "sample" or not os.environ.get("LAGHU_DATA_DIR"):
        return [headline.text for headline in sample.splits()["test"]][:50]
    return corpora.load(made.corpus).splits["test"]["text"][:][::55][:50]


def test_what_is_shown_is_what_the_model_answers(open_page, static, tmp_path):
    made = manifest.load(static / "model")
    page = opened(open_page)
    files.unpack(static / "model", "small", made.labels, tmp_path)
    classifier, tokenizer = Classifier(tmp_path, threads=1), tokenizer_of(tmp_path)
    for text in ("पाऊस, पाऊस!", HEADLINE, "शाळा\nसुरू"):
        page.locator("textarea").fill(text)
        ids = tokenizer.encode(text).ids
        expect(pieces(page).locator("small")).to_have_text([re.compile(rf"\b{id}$") for id in ids])
        shares = classifier.probabilities([text])[0]
        shown = page.locator("td[data-of=small] .laghu-live-share").all_inner_texts()
        percents = np.array([float(share.removesuffix("\xa0%")) for share in shown])
        assert np.abs(percents / 100 - shares).max() < 1e-3 + 5e-4  # the second for the digit they are shown to
        first = made.labels[shares.argmax()]
        expect(page.locator(".laghu-live-said p")).to_have_text(re.compile(f"^Small model: {first}, "))
        row = page.locator("tr", has=page.locator("td.laghu-live-first"))
        expect(row.locator("th")).to_have_text(re.compile(f"^{first}"))


# ------------------------------------------------------------------------------------------------ loading


def test_both_models_answer_on_every_screen(page):
    page.goto("index.html")
    load(page)
    load(page, "teacher")
    assert page.locator("td.laghu-live-first").count() == 2
    assert page.locator(".laghu-live-load").count() == 0
    times = page.locator(".laghu-live-time").all_inner_texts()
    assert len(times) == 2 and all(re.fullmatch(r"[\d.]+\xa0ms", time) for time in times)
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]


def test_nothing_is_fetched_before_the_button_and_after_it_what_it_says(open_page):
    page = open_page()
    fetched = []
    page.on("response", lambda response: fetched.append(response))
    page.goto("index.html")
    before = {response.url for response in fetched}
    assert not any(re.search("model/|onnxruntime|classifier|wordpiece", url) for url in before)
    button = page.locator(".laghu-live-load[data-model=small]")
    said = int(button.get_attribute("data-bytes"))
    assert button.inner_text() == f"Load the model ({said / 1e6:.1f}\xa0MB)"
    load(page)
    # The page's own font comes when the first Marathi does.
    after = [response for response in fetched if response.url not in before and "/fonts/" not in response.url]
    assert sum(len(response.body()) for response in after) == said
    fetched.clear()
    said = int(page.locator(".laghu-live-load[data-model=teacher]").get_attribute("data-bytes"))
    load(page, "teacher")
    assert sum(len(response.body()) for response in fetched) == said


def test_it_goes_on_without_network_and_asks_for_nothing(open_page, problems):
    page = opened(open_page)
    page.context.set_offline(True)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.locator("textarea").fill("विठ्ठलाच्या दर्शनासाठी पंढरपुरात गर्दी")
    expect(pieces(page).first).to_have_text(re.compile("CLS"))
    expect(page.locator(".laghu-live-said p")).to_have_text(re.compile("^Small model: "))
    assert not asked
    # Only another button asks, and says so when it is not answered.
    page.locator(".laghu-live-load[data-model=teacher]").click()
    expect(page.get_by_role("alert")).to_have_text(re.compile("could not be loaded: .* Try again"))
    assert problems and all("ERR_INTERNET_DISCONNECTED" in problem for problem in problems)
    problems.clear()
    page.context.set_offline(False)
    load(page, "teacher")
    expect(page.get_by_role("alert")).to_be_hidden()


def test_it_is_worked_by_keyboard(open_page):
    page = open_page()
    page.goto("index.html")
    button = page.get_by_role("button", name="Load the model")
    button.focus()
    page.keyboard.press("Enter")
    headline = page.get_by_label("A Marathi headline")
    expect(headline).to_be_focused(timeout=60_000)
    page.keyboard.press("Tab")
    expect(page.get_by_label("Or pick an invented one")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(headline).to_have_value(live.EXAMPLES[1])
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(headline).to_have_value("")
    expect(headline).to_be_focused()


def test_every_invented_headline_can_be_picked(open_page):
    page = opened(open_page)
    headline, chosen = page.get_by_label("A Marathi headline"), page.get_by_label("Or pick an invented one")
    for text in live.EXAMPLES:
        chosen.select_option(text)
        expect(headline).to_have_value(text)
    headline.fill(HEADLINE)
    expect(chosen).to_have_value("")


def test_a_strict_policy_needs_no_more_than_wasm(open_page):
    page = open_page()
    page.goto("alone.html")
    load(page)


def test_from_a_folder_it_says_what_to_do(open_page, folder):
    page = open_page(base_url=f"{folder.as_uri()}/")
    page.goto("alone.html")
    expect(page.get_by_text("python -m http.server")).to_be_visible()
    expect(page.locator(".laghu-live-load").first).to_be_hidden()


def test_without_scripts_it_says_so(open_page):
    page = open_page(java_script_enabled=False)
    page.goto("index.html")
    expect(page.get_by_text("which did not start: scripts are off in this browser")).to_be_visible()
    expect(page.locator(".laghu-live-load").first).to_be_hidden()


def test_a_host_that_unpacks_by_itself_is_as_good(open_page, folder):
    """Some say of a compressed file that its encoding is gzip."""
    page = open_page()

    def as_encoded(route) -> None:
        file = folder / "_static" / "model" / route.request.url.rpartition("/")[2].partition("?")[0]
        route.fulfill(body=gzip.decompress(file.read_bytes()))

    page.route("**/model/*.gz?*", as_encoded)
    page.goto("index.html")
    load(page)


# ------------------------------------------------------------------------------------------------ what is typed


def notes(page):
    return page.locator(".laghu-live-said li")


def test_nothing_is_no_error(open_page):
    page = opened(open_page)
    page.get_by_role("button", name="Clear").click()
    expect(page.locator(".laghu-live-said p")).to_have_text("Type a headline, or pick one.")
    expect(notes(page)).to_have_count(0)
    expect(pieces(page)).to_have_count(0)
    expect(page.locator("td.laghu-live-first")).to_have_count(0)
    page.locator("textarea").fill(" \n\t ")
    expect(notes(page)).to_have_text(["There is nothing to read in this: only blanks or control characters."])
    page.locator("textarea").fill(HEADLINE)
    expect(page.locator("td.laghu-live-first")).to_have_count(1)


def test_of_ten_thousand_characters_it_says_what_was_cut(open_page, static, tmp_path):
    page = opened(open_page)
    load(page, "teacher")
    text = ("पुण्यात पावसाची जोरदार हजेरी; " * 400)[:10_000]
    page.locator("textarea").fill(text)
    room = MAX_LENGTH - 2
    for model, name in {"small": "Small model", "teacher": "Its teacher"}.items():
        (target := tmp_path / model).mkdir()
        files.unpack(static / "model", model, LABELS, target)
        count = len(tokenizer_of(target).encode(text, add_special_tokens=False).ids)
        expect(notes(page).filter(has_text=name).first).to_have_text(re.compile(
            f"^{name}: of {count:,} word pieces the first {room} are read, up to “\\S+”. What follows was cut off"))
        expect(pieces(page, model)).to_have_count(room + 3)
        expect(page.locator(f".laghu-live-read[data-of={model}]")).to_contain_text(f"{count - room:,} more, not read")
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]


LATIN = "There is no Devanagari in this. The model learned from Marathi in Devanagari, and answers all the same."
NONE_KNOWN = "Small model: knows no word of this, so its answer says nothing."
ONE_UNKNOWN = "Small model: does not know one word of this."


@pytest.mark.parametrize(("text", "said"), [
    ("Rain in Pune", [LATIN, NONE_KNOWN]),
    ("🙂🎉", [LATIN, NONE_KNOWN]),
    ("ि ् \u0301", [ONE_UNKNOWN]),
    ("पाऊस\nपाऊस", ["Lines are read as one text."]),
    ("पाऊस 🙂", [ONE_UNKNOWN]),
    ("प" * 101, [NONE_KNOWN]),
    ("\u200d\u200c", [LATIN, NONE_KNOWN]),
], ids=["Latin", "emoji", "signs", "lines", "one unknown", "long word", "joiners"])
def test_what_is_unusual_is_answered_and_said(open_page, text, said):
    page = opened(open_page)
    page.locator("textarea").fill(text)
    expect(notes(page)).to_have_text(said)
    expect(page.locator("td.laghu-live-first")).to_have_count(1)


def test_an_answer_that_fails_is_said_and_the_next_text_is_answered(open_page):
    page = opened(open_page)
    page.evaluate("""() => {
      const { from } = BigInt64Array;
      BigInt64Array.from = () => {
        BigInt64Array.from = from;
        throw new Error("<b>out of memory</b>");
      };
    }""")
    page.locator("textarea").fill("पाऊस")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("could not be answered: <b>out of memory</b>.")
    expect(page.locator("td.laghu-live-first")).to_have_count(0)
    expect(pieces(page)).to_have_count(0)
    page.locator("textarea").fill(HEADLINE)
    expect(page.locator("td.laghu-live-first")).to_have_count(1)
    expect(alert).to_be_hidden()


def test_half_a_character_is_no_error(open_page):
    page = opened(open_page)
    page.locator("textarea").evaluate("""(area) => {
      area.value = "पाऊस \\ud83d";
      area.dispatchEvent(new Event("input", { bubbles: true }));
    }""")
    expect(notes(page).filter(has_text="does not know one word")).to_be_visible()


def test_markup_stays_text(open_page):
    page = opened(open_page)
    page.locator("textarea").fill(MARKUP)
    expect(pieces(page).nth(1)).to_contain_text("<")
    expect(page.locator(".laghu-live-said p")).to_have_text(re.compile("^Small model: "))
    assert page.locator(".laghu-live :is(img, script, b)").count() == 0
    assert page.evaluate("window.broken") is None
    # Words are text, too: of an unknown one the page shows the word.
    expect(notes(page).filter(has_text=re.compile("knows no word|does not know"))).to_be_visible()


def test_the_last_text_typed_is_the_one_answered(open_page, static, tmp_path):
    page = opened(open_page)
    files.unpack(static / "model", "small", LABELS, tmp_path)
    page.get_by_role("button", name="Clear").click()
    page.locator("textarea").press_sequentially(HEADLINE)
    ids = tokenizer_of(tmp_path).encode(HEADLINE).ids
    expect(pieces(page).locator("small")).to_have_text([re.compile(rf"\b{id}$") for id in ids])
    expect(page.locator("textarea")).to_have_value(HEADLINE)
