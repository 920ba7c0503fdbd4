"""The book is made quickly, from little, and is the same book."""

import ast
import re
import shutil
import subprocess
import sys
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
import yaml
from fake_records import fake_study
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from sphinx.util.parallel import make_chunks
from sphinx_pages import render, rendered

from laghu.report import figures, quick_ext, sphinx_ext

REPOSITORY = Path(__file__).parents[1]
CONFIG = yaml.safe_load((REPOSITORY / "_config.yml").read_text(encoding="utf-8"))["sphinx"]["config"]
# Modules that can't be found, as if they were not installed.
_ABSENT = """
import sys
class Absent:
    def find_spec(name, path=None, target=None):
        if name.split(".")[0] in {absent}:
            raise ModuleNotFoundError("No module named " + repr(name), name=name)
sys.meta_path.insert(0, Absent)
"""
LISTING = "\n```python\nprint('गाणे', 1 < 2)\n```\n"


# ------------------------------------------------------------------------------------------------ what it needs


def needed(names: list[str]) -> set[str]:
    """The distributions of those names and all that they require, canonical names."""
    found: set[str] = set()
    waiting = [Requirement(name) for name in names]
    while waiting:
        requirement = waiting.pop()
        if (name := canonicalize_name(requirement.name)) not in found:
            found.add(name)
            waiting += [
                each for each in map(Requirement, requires(requirement.name) or [])
                if not each.marker or any(each.marker.evaluate({"extra": extra}) for extra in {"", *requirement.extras})
            ]
    return found


def named() -> list[str]:
    """What requirements-book.txt names."""
    lines = (REPOSITORY / "requirements-book.txt").read_text(encoding="utf-8").splitlines()
    assert "--constraint requirements.lock" in lines
    return [line for line in lines if line and not line.startswith(("#", "-"))]


@pytest.fixture(scope="module")
def loaded() -> list[str]:
    """Modules that `laghu book` loads, its own process and Jupyter Book's, where nothing but its needs is installed."""
    there = needed(named()) | {"laghu", "pip", "setuptools"}
    absent = [module for module, of in packages_distributions().items() if not there & set(map(canonicalize_name, of))]
    assert {"torch", "transformers", "datasets", "sklearn", "papermill", "snakemake"} <= set(absent)
    modules = ["laghu.cli", "laghu.report.book", "jupyter_book.cli.main", "jupyter_book.sphinx", *CONFIG["extensions"]]
    program = _ABSENT.format(absent=absent) + f"import {', '.join(modules)}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_the_book_is_made_from_what_requirements_book_names_which_the_lock_pins(loaded):
    assert "laghu.report.quick_ext" in loaded
    lock = (REPOSITORY / "requirements.lock").read_text(encoding="utf-8").splitlines()
    assert set(map(canonicalize_name, named())) <= {canonicalize_name(line.split("==")[0]) for line in lock}


def test_what_the_book_imports_itself_is_named_and_not_only_there_by_chance(loaded):
    # What Jupyter Book is made of is there with it.
    parts = {"sphinx", "docutils", "ipython", "beautifulsoup4", "pybtex", "markdown-it-py", "myst-nb"}
    assert parts <= needed(["jupyter-book", "sphinxcontrib-bibtex"])
    files = [REPOSITORY / "src" / f"{name.replace('.', '/')}.py" for name in loaded if name.startswith("laghu.")]
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in files if file.is_file()]
    imported = {name.split(".")[0] for tree in trees for node in tree.body for name in _imported(node)}
    distributions = packages_distributions()
    own = {canonicalize_name(each) for name in imported - {"laghu"} for each in distributions.get(name, ())}
    assert own and own - parts <= set(map(canonicalize_name, named()))


def _imported(node: ast.stmt) -> list[str]:
    match node:
        case ast.Import(names=names):
            return [name.name for name in names]
        case ast.ImportFrom(module=str(module), level=0):
            return [module]
    return []


def test_make_book_needs_only_the_first_stage():
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    rules = dict(re.findall(r"^([^\s:#]+): *([^#\n]*?) *(?:#.*)?$", makefile, re.MULTILINE))
    assert rules["book"] == "$(VENV)/book"
    assert rules["$(VENV)/book"].split() == ["pyproject.toml", "requirements.lock", "requirements-book.txt"]
    assert rules["$(VENV)/installed"] == "$(VENV)/book"
    assert rules["test"] == rules["study"] == "$(VENV)/installed"


# ------------------------------------------------------------------------------------------------ what it makes


@pytest.mark.parametrize(("pages", "processes"), [(107, 2), (107, 16), (30, 2), (5, 8), (1, 2), (0, 4)])
def test_each_process_begins_with_its_share_of_the_books_own_pages(pages, processes):
    own = [f"book/{number:03}" for number in range(min(pages, 22))]
    every = own + [f"results/{number:03}" for number in range(pages - len(own))]
    dealt = quick_ext.dealt(list(every), processes)
    assert sorted(dealt) == every
    first = make_chunks(dealt, processes)[:processes]
    shares = [sum(page in own for page in chunk) for chunk in first]
    assert sum(shares) == len(own)
    assert not shares or max(shares) - min(shares) <= 1


def site(folder: Path, *extensions: str) -> dict[str, str]:
    """Every page of a small site in the book's theme, with folders, nested pages and a listing that all have."""
    toctree = "\n```{{toctree}}\n:caption: {}\n{}\n```\n"
    pages = {
        "index": "# Home\n" + toctree.format("First", "a/one\na/two") + toctree.format("Second", "b/c/three\nfour"),
        "a/one": f"# One & <two>\n{LISTING}", "a/two": f"# गाणे\n\n## Below\n{LISTING}", "b/c/three": "# *Three*\n",
        "four": f"# Four\n{LISTING}\n```text\nprint('गाणे', 1 < 2)\n```\n",
    }
    if extensions:
        (folder / "templates").mkdir()
        shutil.copy(REPOSITORY / "book" / "_templates" / "sbt-sidebar-nav.html", folder / "templates")
    _, warnings = render(
        folder, pages["index"], "sphinx_book_theme", *extensions, files={f"{name}.md": pages[name] for name in pages},
        templates_path=["templates"], html_theme="sphinx_book_theme",
    )
    assert not warnings
    return {name: rendered(folder, name) for name in (*pages, "search", "genindex")}


def test_no_page_differs_for_it(tmp_path, monkeypatch):
    monkeypatch.setenv("LAGHU_HOME", str(tmp_path))
    for name in ("plain", "quick"):
        (tmp_path / name).mkdir()
    plain, quick = site(tmp_path / "plain"), site(tmp_path / "quick", "laghu.report.quick_ext")
    assert plain == quick
    assert len(re.findall('class="current reference internal" href="#"', quick["a/two"])) == 1
    assert quick["a/one"].count("highlight-python") == quick["four"].count("highlight-python") == 1


def test_a_listing_is_coloured_once_for_each_way_to_show_it():
    class Highlighter:
        calls: list[tuple] = []  # noqa: RUF012

        def highlight_block(self, source, lang, *settings, location=None, **options):
            self.calls.append((source, lang, settings, options))
            return f"{len(self.calls)}"

    listings = quick_ext.Listings(Highlighter())
    shown = [listings("x", "python", {}, location="here"), listings("x", "python", {}, location="there"),
             listings("x", "text", {}), listings("x", "python", {}, linenos=True), listings("y", "python", {})]
    assert shown == ["1", "1", "2", "3", "4"]


def test_a_figure_that_two_pages_have_is_never_there_in_part(tmp_path, monkeypatch):
    """What one page has written stays whole while another, read at the same time, writes it again."""
    monkeypatch.setenv("LAGHU_HOME", str(tmp_path))
    for record in fake_study():
        record.save()
    drawn = tmp_path / "book" / "_generated" / "cpu" / "accuracy-views.svg"
    there = []

    def half(figure, file):
        save(figure, file)
        whole = file.read_bytes()
        file.write_bytes(whole[:100])
        there.append(drawn.read_bytes() if drawn.is_file() else None)
        file.write_bytes(whole)

    save = sphinx_ext.style.save
    monkeypatch.setattr(sphinx_ext.style, "save", half)
    directive = "```{{study-figure}} accuracy-views\n:study: cpu\n:name: {}\n```\n"
    _, warnings = render(
        tmp_path, "# One\n\n(study-cpu)=\n\n## All\n\n" + directive.format("one"), "laghu.report.sphinx_ext",
        files={"two.md": "---\norphan: true\n---\n# Two\n\n" + directive.format("two")},
    )
    assert not warnings
    assert there == [None, drawn.read_bytes()]
    assert sorted(file.name for file in (tmp_path / "book" / "_generated" / "cpu").iterdir()) == [
        "accuracy-views.csv", "accuracy-views.svg"]


def test_no_two_kinds_of_tables_and_figures_write_one_file():
    """Pages are read side by side, and what stands under a table has to be its own numbers."""
    assert set(sphinx_ext._CAPTIONS).isdisjoint(figures.FIGURES)
    sources = "".join(file.read_text(encoding="utf-8") for file in (REPOSITORY / "src/laghu/report").glob("*_ext.py"))
    literal = re.findall(r'self\.written\([^"()]*(?:\(\))?, f?"([^"]+)\.(?:csv|svg|json)"', sources)
    assert {"audit-kinds", "benchmark", "speed-gpu", "speed-waterfall"} <= set(literal)
    assert not set(literal) & {*sphinx_ext._CAPTIONS, *figures.FIGURES}
