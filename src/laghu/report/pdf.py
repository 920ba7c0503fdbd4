"""The whole book as a PDF: its rendered pages in one document, printed by Chromium.

It is printed twice. The page numbers of the contents are those of the first time, and stay what they are, because
their place is kept free from the beginning.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

import yaml
from pypdf import PdfReader

import laghu
from laghu import paths, provenance
from laghu.errors import LaghuError
from laghu.report import book, formats, one_page

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_MAC = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
_PRINT = Path(__file__).parent / "print"
_SECONDS = 900
# Formulas have to be typeset before the page is printed; the browser's clock is put forward while it waits.
_VIRTUAL_MILLISECONDS = 120_000


def make(out: Path | None = None) -> Path:
    """Render the book if it is not, print it, and return the PDF.

    Args:
        out: folder that receives `_build/laghu.pdf`; the repository if not given.

    Raises:
        LaghuError: no Chromium, the book does not build, or Chromium printed nothing.
    """
    browser = chromium()
    index = book.build(out)
    site, build = index.parent, index.parent.parent
    contents = yaml.safe_load((build / "_toc.yml").read_text(encoding="utf-8"))
    config = yaml.safe_load((paths.root() / "_config.yml").read_text(encoding="utf-8"))
    chapters = one_page.parts(site, contents)
    imprint = list(_imprint(config))
    mathjax = site / "_static" / "lib" / "mathjax" / "tex-svg.js"
    scripts = [mathjax.as_uri()] if mathjax.is_file() else []
    source, printed = build / "pdf" / "book.html", build / "laghu.pdf"
    source.parent.mkdir(exist_ok=True)
    anchors = [chapter.anchor for part in chapters for chapter in part.chapters]
    pages: dict[str, int] = {}
    for _ in range(2):
        text = one_page.document(chapters, chapters[0].chapters[0].title, imprint, _style(site), scripts, pages)
        source.write_text(text, encoding="utf-8")
        pages = page_numbers(_print(browser, source, printed), anchors)
    return printed


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
    """On which page of a PDF each of these places is; the first page is 1. What is no place of it is left out."""
    reader = PdfReader(printed)
    places = {name.removeprefix("/"): place for name, place in reader.named_destinations.items()}
    return {name: reader.get_destination_page_number(places[name]) + 1 for name in anchors if name in places}


def _print(browser: Path, source: Path, target: Path) -> Path:
    """Print a document; the file is replaced only by a whole one.

    Raises:
        LaghuError: Chromium failed; with what it said last.
    """
    with tempfile.TemporaryDirectory() as scratch:
        fresh = Path(scratch) / "book.pdf"
        command = [
            str(browser), "--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
            "--disable-background-networking", "--disable-component-update", f"--user-data-dir={scratch}/profile",
            "--no-pdf-header-footer", "--generate-pdf-document-outline", "--export-tagged-pdf",
            f"--virtual-time-budget={_VIRTUAL_MILLISECONDS}", f"--print-to-pdf={fresh}", source.as_uri(),
        ]
        if os.geteuid() == 0:  # Chromium's sandbox does not start for root, and what is printed is our own
            command.insert(1, "--no-sandbox")
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            raise LaghuError(f"{browser.name} did not print the book in {_SECONDS} seconds") from None
        if not fresh.is_file():
            said = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
            raise LaghuError(f"{browser.name} printed nothing: {said[0]}")
        shutil.move(fresh, target)
    return target


def _style(site: Path) -> str:
    """The style sheet of the print, with addresses of fonts on this machine, and the colours of code."""
    sheet = (_PRINT / "print.css").read_text(encoding="utf-8")
    fonts = {"print": _PRINT, "book": site / "_static" / "fonts"}
    sheet = re.sub(r'(?<=url\(")(print|book)/([^"]+)', lambda found: (fonts[found[1]] / found[2]).as_uri(), sheet)
    colours = site / "_static" / "pygments.css"
    lines = colours.read_text(encoding="utf-8").splitlines() if colours.is_file() else []
    return "\n".join([sheet, *(line.replace('html[data-theme="light"] ', "") for line in lines
                               if not line.startswith('html[data-theme="dark"]'))])


def _imprint(config: dict[str, str]) -> Iterator[str]:
    yield escape(config["author"])
    yield f"Version {escape(laghu.__version__)}, commit {escape(formats.short(provenance.commit()))}"
    yield '<span lang="mr">लघु</span>, <em>small, light</em>'
