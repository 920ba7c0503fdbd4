"""The book as a PDF: its rendered pages in one document, printed by Chromium.

Executed notebooks are left out: they would be most of it, and a screen is better for them.

It is printed twice. The page numbers of the contents are those of the first time, and stay what they are, because
their place is kept free from the beginning.
"""

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import matplotlib
import yaml
from pypdf import PdfReader
from pypdf.errors import PdfReadError

import laghu
from laghu import paths, provenance
from laghu.errors import LaghuError
from laghu.report import book, formats, one_page

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_MAC = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
_SECONDS = 300
# Formulas have to be typeset before the page is printed; the browser's clock is put forward while it waits.
_VIRTUAL_MILLISECONDS = 120_000
_FLAGS = (
    "--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--no-pdf-header-footer",
    "--generate-pdf-document-outline", "--export-tagged-pdf", f"--virtual-time-budget={_VIRTUAL_MILLISECONDS}",
)


def make(out: Path | None = None) -> Path:
    """Render the book if it is not, print it, and return the PDF.

    Args:
        out: folder that receives `_build/laghu.pdf`; the repository if not given.

    Raises:
        LaghuError: no Chromium, the book does not build, or Chromium printed nothing.
    """
    browser = chromium()
    site = book.build(out).parent
    contents = yaml.safe_load((site.parent / "_toc.yml").read_text(encoding="utf-8"))
    config = yaml.safe_load((paths.root() / "_config.yml").read_text(encoding="utf-8"))
    parts = one_page.parts(site, without_notebooks(contents))
    left_out = len(book.pages(contents)) - len(book.pages(without_notebooks(contents)))
    return write(parts, list(_imprint(config, left_out)), site, browser, site.parent / "laghu.pdf")


def write(book: Sequence[one_page.Part], imprint: Sequence[str], site: Path, browser: Path, target: Path) -> Path:
    """Print parts of a book, with the page numbers of their chapters in the contents.

    Args:
        imprint: lines of the title page below the title, in HTML.
        site: the folder of the rendered book, which has its fonts and MathJax.
        target: the PDF; it is replaced only when the new one is whole.

    Raises:
        LaghuError: Chromium printed nothing.
    """
    title, style, scripts = book[0].chapters[0].title, _style(site), _scripts(site)
    anchors = [chapter.anchor for part in book for chapter in part.chapters]
    pages: dict[str, int] = {}
    with tempfile.TemporaryDirectory(dir=target.parent, ignore_cleanup_errors=True) as scratch:
        source, printed = Path(scratch) / "book.html", Path(scratch) / "book.pdf"
        for _ in range(2):
            source.write_text(one_page.document(book, title, imprint, style, scripts, pages), encoding="utf-8")
            print_page(browser, source, printed)
            pages = page_numbers(printed, anchors)
        return printed.replace(target)


def without_notebooks(contents: Mapping[str, Any]) -> dict[str, Any]:
    """A table of contents without executed notebooks, and without the parts that hold nothing else."""
    parts = [
        {**part, "chapters": [each for each in part["chapters"] if not each["file"].endswith(".ipynb")]}
        for part in contents["parts"]
    ]
    return {**contents, "parts": [part for part in parts if part["chapters"]]}


def chromium() -> Path:
    """The browser that prints: what `LAGHU_CHROMIUM` names, or else the first that is found.

    Raises:
        LaghuError: there is none.
    """
    if named := os.environ.get("LAGHU_CHROMIUM"):
        if found := shutil.which(named):
            return Path(found)
        raise LaghuError(f"LAGHU_CHROMIUM={named!r} is not a program; name Chromium's or Chrome's")
    if found := next(filter(None, map(shutil.which, _NAMES)), None):
        return Path(found)
    if _MAC.is_file():
        return _MAC
    raise LaghuError("no Chromium or Chrome to print with; install one, or name it in LAGHU_CHROMIUM")


def page_numbers(printed: Path, anchors: Sequence[str]) -> dict[str, int]:
    """On which page of a PDF each of these places is; the first page is 1. What is no place of it is left out.

    Raises:
        LaghuError: it is no PDF.
    """
    try:
        reader = PdfReader(printed)
    except PdfReadError as error:
        raise LaghuError(f"the browser printed what is no PDF ({error})") from None
    places = {name.removeprefix("/"): place for name, place in reader.named_destinations.items()}
    return {name: reader.get_destination_page_number(places[name]) + 1 for name in anchors if name in places}


def print_page(browser: Path, source: Path, target: Path, seconds: float = _SECONDS) -> None:
    """Print a document, whose folder the browser may write to.

    Raises:
        LaghuError: the browser failed, with what it said last, or was not done in time.
    """
    profile = source.parent / "profile"
    # Chromium's sandbox does not start for root, and what is printed is our own.
    flags = [*_FLAGS, "--no-sandbox"] if os.geteuid() == 0 else [*_FLAGS]
    command = [str(browser), *flags, f"--user-data-dir={profile}", f"--print-to-pdf={target}", source.as_uri()]
    target.unlink(missing_ok=True)
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True
    )
    with process:
        try:
            said = process.communicate(timeout=seconds)[1].strip().splitlines()
        except subprocess.TimeoutExpired:
            raise LaghuError(f"{browser.name} did not print the book in {seconds:g} seconds") from None
        finally:
            if process.poll() is None:  # also when the user has had enough
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode or not target.is_file():
        what = said[-1] if said else f"exit status {process.returncode}"
        raise LaghuError(f"{browser.name} printed nothing: {what}")


def _style(site: Path) -> str:
    """The style sheet of the print, with addresses of fonts on this machine, and the colours of code."""
    here = Path(__file__).parent / "print"
    fonts = {
        "print": here, "book": site / "_static" / "fonts", "matplotlib": Path(matplotlib.get_data_path(), "fonts/ttf"),
    }
    sheet = re.sub(
        rf'(?<=url\(")({"|".join(fonts)})/([^"]+)', lambda found: (fonts[found[1]] / found[2]).as_uri(),
        (here / "print.css").read_text(encoding="utf-8"),
    )
    colours = (site / "_static" / "pygments.css").read_text(encoding="utf-8").splitlines()
    return "\n".join([sheet, *(line.replace('html[data-theme="light"] ', "") for line in colours
                               if not line.startswith('html[data-theme="dark"]'))])


def _scripts(site: Path) -> list[str]:
    """What typesets formulas, if the book has any."""
    mathjax = site / "_static" / "lib" / "mathjax" / "tex-svg.js"
    return [mathjax.as_uri()] if mathjax.is_file() else []


def _imprint(config: Mapping[str, str], left_out: int) -> Iterator[str]:
    """Lines below the title; `left_out` counts the notebooks that are not in the print."""
    yield escape(config["author"])
    yield f"Version {escape(laghu.__version__)}, commit {escape(formats.short(provenance.commit()))}"
    yield '<span lang="mr">लघु</span>, <em>small, light</em>'
    yield f"Not in this print, and pages of the book on a screen: executed notebooks, {left_out} of them."
