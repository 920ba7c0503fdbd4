"""A page of the book with what it links to, in the book's theme, in seconds instead of the whole book's minute."""

import io
from pathlib import Path

import yaml
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils

from laghu.report import book

REPOSITORY = Path(__file__).resolve().parents[2]


# What the page needs; all of the book's would import PyTorch.
EXTENSIONS = ("laghu.report.sphinx_ext", "laghu.report.explorer_ext")
PROVENANCE = ("cpu", "cpu-ablations", "cpu-sib200", "cpu-mahasent", "cpu-bengali", "cpu-english")


def build(folder: Path, page: str) -> tuple[Path, str]:
    """That page of `book/` as it is, a short one on provenance, and stubs of other pages and of the first study's runs.

    The caller has set LAGHU_HOME to the folder, which receives links to this repository's records and studies.

    Returns:
        The folder of the HTML, and the warnings of the build.
    """
    (folder / "studies").symlink_to(REPOSITORY / "studies")
    for record in (REPOSITORY / "results").rglob("*.json"):
        link = folder / record.relative_to(REPOSITORY)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(record)
    toc = yaml.safe_load((REPOSITORY / "_toc.yml").read_text(encoding="utf-8"))
    names = [name.removesuffix(".ipynb") for name in book.pages(toc) if name.startswith(("book/", "results/cpu/"))]
    texts = {name: f"# Stub of {name}\n" for name in names}
    texts[f"book/{page}"] = (REPOSITORY / "book" / f"{page}.md").read_text(encoding="utf-8")
    texts["book/provenance"] = "# Provenance\n" + "".join(f"\n```{{run-table}} {name}\n```\n" for name in PROVENANCE)
    texts["index"] = "# Index\n\n```{toctree}\n" + "\n".join(names) + "\n```\n"
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
    config = yaml.safe_load((REPOSITORY / "_config.yml").read_text(encoding="utf-8"))
    warnings = io.StringIO()
    with patch_docutils(), docutils_namespace():
        Sphinx(
            folder, None, folder / "html", folder / "doctrees", "html", status=None, warning=warnings,
            confoverrides={
                **config["sphinx"]["config"], "extensions": ["myst_parser", *EXTENSIONS],
                "myst_enable_extensions": config["parse"]["myst_enable_extensions"], "nitpicky": True,
                "html_theme": "sphinx_book_theme", "html_static_path": [str(REPOSITORY / "book" / "_static")],
                "exclude_patterns": ["html", "doctrees"],
            },
        ).build()
    return folder / "html", warnings.getvalue()
