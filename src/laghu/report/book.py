"""The book: its table of contents from the results that are here, and the build, where a warning is an error."""

import hashlib
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, get_args

import nbformat
import yaml

from laghu import paths, provenance
from laghu.errors import LaghuError
from laghu.report.rows import Row, row_of
from laghu.spec import TokenCorpusName

# Studies whose results are committed; `_toc.yml` names their pages.
PUBLISHED = frozenset(
    {
        "cpu", "cpu-ablations", "cpu-words", "cpu-sib200", "cpu-mahasent", "cpu-bengali", "cpu-english",
        "cpu-small",
        "gpu", "gpu-bengali", "gpu-small",
    }
)

# The site's address without a page's name leads to the first page.
_DOOR = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src 'self'">
<meta http-equiv="Refresh" content="0; url=book/index.html">
<link rel="icon" href="_static/favicon.svg">
<title>Laghu</title>
<p><a href="book/index.html">Laghu</a></p>
</html>
"""


def build(out: Path | None = None) -> Path:
    """Render the book, unless it already is what its sources would give; returns its first page.

    Args:
        out: folder that receives `_build/html`; the repository if not given.

    Raises:
        LaghuError: a notebook to be published ends in an error; the build gave warnings, which it lists; or the book
            can't be written.
    """
    try:
        return _build(out)
    except OSError as error:
        raise LaghuError(f"the book can't be written: {error}; mend that and call again") from error


def _build(out: Path | None) -> Path:
    site = (out or paths.root()).resolve() / "_build"
    index, stamp, sources = site / "html" / "index.html", site / "sources.sha256", _sources_digest()
    if index.is_file() and stamp.is_file() and stamp.read_text(encoding="utf-8") == sources:
        return index
    toc, absent = assemble(yaml.safe_load((paths.root() / "_toc.yml").read_text(encoding="utf-8")))
    if absent:
        folders = Counter(Path(page).parent.as_posix() for page in absent)
        counted = ", ".join(f"{count} of {folder}" for folder, count in folders.items())
        print(f"notebooks left out, not run in this checkout: {counted}")
    for page in pages(toc):
        if page.endswith(".ipynb"):
            refuse_errors(paths.root() / page)
    site.mkdir(parents=True, exist_ok=True)
    stamp.unlink(missing_ok=True)
    contents = site / "_toc.yml"
    contents.write_text(yaml.safe_dump(toc, sort_keys=False), encoding="utf-8")
    _render(contents, site.parent)
    (site / "html" / "index.html").write_text(_DOOR, encoding="utf-8")
    stamp.write_text(sources, encoding="utf-8")
    return index


def assemble(toc: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The committed table of contents without notebooks that are not there, and with those of the reader's own studies.

    Returns:
        The table of contents, and the notebooks left out.
    """
    parts, absent = [], []
    for part in toc["parts"]:
        there = []
        for chapter in part["chapters"]:
            missing = chapter["file"].endswith(".ipynb") and not (paths.root() / chapter["file"]).is_file()
            (absent if missing else there).append(chapter)
        if there:
            parts.append({**part, "chapters": there})
    if own := _own_notebooks():
        parts.append({"caption": "Your own runs", "chapters": [{"file": page} for page in own]})
    return {**toc, "parts": parts}, [chapter["file"] for chapter in absent]


def pages(toc: dict[str, Any]) -> list[str]:
    """Every page of a table of contents but its root."""
    return [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]]


def refuse_errors(notebook: Path) -> None:
    """Raise if the executed notebook holds an error: Jupyter Book would publish it without a word.

    Raises:
        LaghuError: names the notebook and the error; or there is no such notebook.
    """
    try:
        cells = nbformat.read(notebook, as_version=4).cells
    except FileNotFoundError:
        raise LaghuError(f"no notebook {notebook.name} in {notebook.parent}; run it again") from None
    except (ValueError, nbformat.ValidationError):
        raise LaghuError(f"{notebook} is no notebook; delete it and run it again") from None
    for number, cell in enumerate(cells, start=1):
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                what = f"{output.ename}: {output.evalue}"
                raise LaghuError(f"{notebook.name}: cell {number} ends in {what}; run it again")


def _sources_digest() -> str:
    """Digest of every file that the book is made from."""
    root = paths.root()
    found = (file for folder in ("book", "results", "studies") for file in (root / folder).rglob("*") if file.is_file())
    made = (".", "_generated")  # lock files, and what the build itself writes
    sources = [file for file in found if not any(part.startswith(made) for part in file.relative_to(root).parts)]
    sources += [root / "_config.yml", root / "_toc.yml", *Path(__file__).parents[1].rglob("*.py")]
    return provenance.digest(sorted([file.name, hashlib.sha256(file.read_bytes()).hexdigest()] for file in sources))


def _own_notebooks() -> list[str]:
    """Executed notebooks of studies that are not published, by study and in the order of tables, words after texts."""
    results = paths.root() / "results"
    notebooks = [*results.glob("*/*.ipynb"), *results.glob("*/tokens/*.ipynb")]
    own = [page for file in notebooks if (page := file.relative_to(results)).parts[0] not in PUBLISHED]
    own.sort(key=lambda page: (page.parts[0], len(page.parts), *_order(page.stem)))
    return [f"results/{page.as_posix()}" for page in own]


def _order(run: str) -> tuple[str, tuple, str]:
    """Key to sort runs by: the corpus that the name of one on labelled words begins with, the row, the seed."""
    corpus, row = re.fullmatch(rf"(?:({'|'.join(get_args(TokenCorpusName))})-)?(.+)", row_of(run)).groups(default="")
    return corpus, Row.parse(row).order, run


def _render(contents: Path, out: Path) -> None:
    """Run Jupyter Book in a process of its own: it and Sphinx keep state in global variables.

    What it reads stays until the end, so looking for garbage, which took a tenth of the time, finds none.
    """
    program = "import gc; gc.disable(); from jupyter_book.cli.main import main; main()"
    command = [
        sys.executable, "-c", program, "build", str(paths.root()),
        "--path-output", str(out), "--toc", str(contents), "-W", "-n", "--keep-going", "-q",
    ]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    if built.returncode:
        lines = re.sub(r"\x1b\[[\d;]*m", "", built.stderr).splitlines()
        telling = r"\b(WARNING|ERROR|CRITICAL)\b|\[Errno \d+\]"
        warnings = list(dict.fromkeys(line for line in lines if re.search(telling, line)))
        raise LaghuError("\n".join(["the book does not build without warnings:", *(warnings or lines[-5:])]))
