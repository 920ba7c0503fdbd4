"""A small book whose data is an attack, on every kind of page that shows data; the pages run nothing of it."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pandas as pd
from fake_records import fake_record, fake_token_record
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils

from laghu.report import notebook as show
from laghu.spec import RunSpec, TokenRun

# Would set `window.attacked`; in Marathi too, since texts in Devanagari go a way of their own.
ATTACK = '<script>window.attacked = 1</script><img src=x onerror="window.attacked = 2">'
_BOOK = Path(__file__).parents[1] / "book"
TEXTS = (ATTACK, f"महाराष्ट्र {ATTACK} संघ", f'दर" onmouseover="window.attacked = 3" x="{ATTACK}')

_RECORDS = """# Records

:::{run-table} cpu
:::

{value}`cpu/baseline-seed1#accuracy.clean.value` of {value}`cpu/baseline-seed1#parameters.total`

:::{study-table} summary
:study: cpu
:::

:::{study-figure} accuracy-speed
:study: cpu
:::

:::{token-table} kinds
:study: words
:corpus: token-sample
:::
"""


def build(home: Path) -> Path:
    """Render it under `home`, in a process of its own, as Sphinx keeps parsers for all; returns its pages' folder."""
    environment = os.environ | {"LAGHU_HOME": str(home)}
    subprocess.run([sys.executable, __file__], env=environment, cwd=home, check=True, capture_output=True)
    return home / "html"


def _render(home: Path) -> None:
    _save_records()
    (home / "index.md").write_text("# Index\n\n```{toctree}\nrecords\nnotebook\n```\n", encoding="utf-8")
    (home / "records.md").write_text(_RECORDS, encoding="utf-8")
    nbformat.write(_notebook(), home / "notebook.ipynb")
    with patch_docutils(), docutils_namespace():
        Sphinx(
            home, None, home / "html", home / "doctrees", "html", status=None, warningiserror=True,
            confoverrides={
                "extensions": ["myst_nb", *(f"laghu.report.{name}_ext" for name in (
                    "quick", "sphinx", "tokens", "languages", "search", "accessibility", "policy"))],
                "myst_enable_extensions": ["colon_fence"], "nb_execution_mode": "off", "smartquotes": False,
                # As the book looks: the policy forbids what other themes write into their pages.
                "html_theme": "sphinx_book_theme", "templates_path": [str(_BOOK / "_templates")],
                "html_static_path": [str(_BOOK / "_static")], "html_favicon": str(_BOOK / "_static" / "favicon.svg"),
                "exclude_patterns": ["results", "html"], "mathjax_path": "lib/mathjax/tex-svg.js",
            },
        ).build()


def _save_records() -> None:
    hostile = {"cpu": ATTACK, "threads": 2, "gpu": None}
    for row in ({"technique": "baseline"}, {"technique": "pruning", "pruning_level": 0.5}):
        record = fake_record(RunSpec.model_validate({"study": "cpu", "seed": 1, **row}))
        record.model_copy(update={"hardware": record.hardware | hostile, "versions": {ATTACK: ATTACK}}).save()
    kinds = {ATTACK: {"right": 1, "true": 2, "predicted": 2}}
    fake_token_record(TokenRun(study="words", seed=1), kinds=kinds, hardware=hostile).save()


def _notebook() -> nbformat.NotebookNode:
    """What the templates put out, of texts and labels that are attacks."""
    frame = pd.DataFrame({"text": TEXTS, ATTACK: TEXTS})
    tables = [show.headlines(TEXTS, TEXTS, TEXTS).data, frame.to_html(), show.summary(
        fake_record(RunSpec(technique="baseline", seed=1)).model_copy(update={"hardware": {"cpu": ATTACK}})).data]
    outputs = [new_output("execute_result", data={"text/html": table, "text/plain": "…"}) for table in tables]
    outputs += [new_output("execute_result", data={"text/plain": repr(text)}) for text in TEXTS]
    outputs += [new_output("stream", text="\n".join(TEXTS))]
    cells = [new_code_cell("show", outputs=[output]) for output in outputs]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3"},
                "language_info": {"name": "python", "pygments_lexer": "ipython3"}}
    return new_notebook(cells=[new_markdown_cell("# Notebook"), *cells], metadata=metadata)


if __name__ == "__main__":
    _render(Path.cwd())
