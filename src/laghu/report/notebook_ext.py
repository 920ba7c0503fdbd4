"""What every page of an executed notebook has beside its cells, made from the record that lies beside the notebook.

Below the title: what the page answers, the result in one line, and what it rests on. At the end: limits and the
command that runs this very page again. Under each figure: whose it is, with its numbers and the record to download.
A published notebook can be opened in Colab. Pages without a record, of which a reader may have made some, are left
alone.
"""

import hashlib
import json
from base64 import b64decode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms import SphinxTransform

import laghu
from laghu import paths, spreadsheets
from laghu.records import CostRecord, RunRecord, TokenRecord
from laghu.report import colab, links, notebook_page, sources, sphinx_ext
from laghu.report.book import PUBLISHED
from laghu.report.notebook_page import Record
from laghu.report.sources import Source
from laghu.report.table_nodes import field_list

_KINDS: dict[str, type[Record]] = {"tokens": TokenRecord, "cost": CostRecord}


def setup(app: Sphinx) -> dict[str, Any]:
    """Sphinx's entry point."""
    app.add_transform(NotebookPage)
    app.connect("env-updated", _name_images)
    return {"version": laghu.__version__, "parallel_read_safe": True, "parallel_write_safe": True}


class NotebookPage(SphinxTransform):
    """Opens and closes a notebook's page, and mends its figures."""

    default_priority = 400

    def apply(self, **kwargs: Any) -> None:
        file = paths.root() / f"{self.env.docname}.json"
        if not self.env.docname.startswith("results/") or not file.is_file():
            return
        self.env.note_reread()
        record = _KINDS.get(file.parent.name, RunRecord).load(file)
        source = _source(record)
        page = next(self.document.findall(nodes.section))
        numbers = _numbers(source.notebook)
        for figure in list(page.findall(nodes.figure)):
            _mend(self.env, figure, source, numbers)
        in_colab = self.in_colab(record)
        page[1:1] = [
            nodes.paragraph("", "", nodes.emphasis("", notebook_page.question(record))),
            nodes.paragraph("", "", nodes.strong("", "In one line: "), *self.result(record, source)),
            field_list([
                *([("Run it", [_button("Open in Colab", in_colab)])] if in_colab else []),
                ("Record", [links.reference(self.env, source.name, source.anchor), nodes.Text(", "),
                            *_downloads(self.env, source)]),
                ("Machine", [nodes.Text(source.machine)]),
                ("Measured", [nodes.Text(sources.days([source]))]),
                ("Commit", [links.digest(source.commit)]),
                ("Run key", [links.digest(source.key)]),
            ]),
        ]
        page += self.section("Limits", [nodes.paragraph("", text) for text in notebook_page.limits(record)])
        written = notebook_page.commands(record)
        page += self.section("Run it again", [
            nodes.literal_block(written, written, language="console"),
            *(self.first_in_colab(record) if in_colab else []),
        ])

    def result(self, record: Record, source: Source) -> list[nodes.Node]:
        """The sentence of `notebook_page.result`, its numbers linked to the record's line."""
        bound = _bound(record) if isinstance(record, RunRecord) else None
        said: list[nodes.Node] = []
        for text, number in notebook_page.result(record, bound):
            said += [nodes.Text(text)]
            if number:
                said += [links.number(self.env, number, source.anchor, source.name, [source])]
        return said

    def in_colab(self, record: Record) -> str:
        """The notebook's address in Colab; empty where it is not published or the repository has no address."""
        if record.study not in PUBLISHED:
            return ""
        options = self.config.html_theme_options
        branch = options.get("repository_branch", "main")
        return colab.address(colab.repository(options), branch, f"{self.env.docname}.ipynb")

    def first_in_colab(self, record: Record) -> list[nodes.Node]:
        """What has to be run there before all other cells."""
        cell = colab.preparation(colab.repository(self.config.html_theme_options))
        how = ("In Colab, run this in a new first cell, restart the session when it is done, and then run the cells "
               f"from the top. {notebook_page.without_corpus(record)}")
        return [nodes.paragraph("", how.rstrip()), nodes.literal_block(cell, cell, language="text")]

    def section(self, title: str, content: Sequence[nodes.Node]) -> nodes.section:
        made = nodes.section("", nodes.title("", title), *content, names=[nodes.fully_normalize_name(title)])
        self.document.note_implicit_target(made, made)
        return made


def _button(text: str, address: str) -> nodes.reference:
    return nodes.reference("", text, refuri=address, classes=["laghu-button"])


def _source(record: Record) -> Source:
    return sources.of_cost(record) if isinstance(record, CostRecord) else sources.of_run(record)


def _bound(record: RunRecord) -> float | None:
    """The FLOP bound against the baseline of the same seed, where the study's frame has one."""
    frame = sphinx_ext.study(record.study)
    if record.run not in frame.index or frame.loc[record.run, "row"] == "baseline":
        return None
    bound = frame.loc[record.run, "flop_bound"]
    return None if bound != bound else float(bound)


def _numbers(notebook: Path) -> dict[str, str]:
    """What the figures of an executed notebook show, as CSV, by the digest that MyST-NB names an image by."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    outputs = [output.get("data", {}) for cell in cells for output in cell.get("outputs", [])]
    return {hashlib.sha256(b64decode(data["image/png"])).hexdigest(): "".join(data["text/csv"])
            for data in outputs if "image/png" in data and "text/csv" in data}


def _mend(env: BuildEnvironment, figure: nodes.figure, source: Source, numbers: Mapping[str, str]) -> None:
    """A caption that stands alone, and downloads; what is a figure only because its cell has one is none."""
    image = next(iter(figure.findall(nodes.image)), None)
    if image is None:
        figure.replace_self([child for child in figure.children if not isinstance(child, nodes.caption)])
        return
    for caption in figure.findall(nodes.caption):
        caption += nodes.Text(f" {source.name}, study {source.study}, {source.machine}.")
    offered = _downloads(env, source)
    digest = Path(image["uri"]).stem
    if digest in numbers:
        place = list(numbers).index(digest) + 1
        shown = spreadsheets.again(numbers[digest])
        file = sphinx_ext.generated(
            env, f"{env.docname}-{place}.csv", lambda file: file.write_text(shown, encoding="utf-8"))
        offered = [links.download(env, file, "Data (CSV)"), nodes.Text(", "), *offered]
    figure += nodes.legend("", nodes.paragraph("", "", *offered, classes=["laghu-data"]))


def _downloads(env: BuildEnvironment, source: Source) -> list[nodes.Node]:
    return [links.download(env, source.file, "record (JSON)"), nodes.Text(", "),
            links.download(env, source.notebook, "notebook")]


def _name_images(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Give the images of notebooks, which are named by digests, the name of their page and a number."""
    numbers: dict[str, int] = {}
    for file, (pages, _) in sorted(env.images.items(), key=lambda item: sorted(item[1][0])):
        page = min(pages)
        if page.startswith("results/"):
            numbers[page] = numbers.get(page, 0) + 1
            env.images[file] = (pages, f"{page.replace('/', '-')}-{numbers[page]}{Path(file).suffix}")
    return []
