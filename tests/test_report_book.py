import shutil
from pathlib import Path

import nbformat
import pytest
import yaml
from fake_records import fake_study
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from laghu.errors import LaghuError
from laghu.report import book
from laghu.report.rows import Row, row_of
from laghu.spec import Study

REPOSITORY = Path(__file__).parents[1]
PYTHON = {
    "kernelspec": {"name": "python3", "display_name": "Python 3"},
    "language_info": {"name": "python", "pygments_lexer": "ipython3"},
}
TOC = {
    "format": "jb-book", "root": "book/index",
    "parts": [
        {"caption": "Paper", "chapters": [{"file": "book/provenance"}]},
        {"caption": "Runs", "chapters": [{"file": "results/cpu/baseline-seed1.ipynb"},
                                         {"file": "results/cpu/pruning-50-seed1.ipynb"}]},
    ],
}


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("LAGHU_HOME", str(tmp_path))
    (tmp_path / "book").mkdir()
    return tmp_path


def write(root, study, run, *outputs):
    file = root / "results" / study / f"{run}.ipynb"
    file.parent.mkdir(parents=True, exist_ok=True)
    cells = [new_markdown_cell(f"# {run}"), new_code_cell("work()", outputs=list(outputs))]
    nbformat.write(new_notebook(cells=cells, metadata=PYTHON), str(file))
    return file


def test_absent_notebooks_are_left_out_and_named(root):
    write(root, "cpu", "baseline-seed1")
    toc, absent = book.assemble(TOC)
    assert book.pages(toc) == ["book/provenance", "results/cpu/baseline-seed1.ipynb"]
    assert absent == ["results/cpu/pruning-50-seed1.ipynb"]


def test_a_part_without_pages_goes(root):
    toc, _ = book.assemble(TOC)
    assert [part["caption"] for part in toc["parts"]] == ["Paper"]


def test_the_readers_own_runs_are_added_in_the_order_of_tables(root):
    for run in ("pruning-50-seed0", "classical-seed0", "baseline-seed1", "baseline-seed0"):
        write(root, "quick", run)
    write(root, "cpu", "baseline-seed2")  # a published study shows the pages of _toc.yml and no others
    toc, _ = book.assemble(TOC)
    assert toc["parts"][-1] == {"caption": "Your own runs", "chapters": [
        {"file": f"results/quick/{run}.ipynb"}
        for run in ("classical-seed0", "baseline-seed0", "baseline-seed1", "pruning-50-seed0")]}


def test_the_readers_own_labelled_words_follow_the_texts_of_their_study(root):
    for run in ("tokens/token-sample-pruning-50-joint-seed0", "tokens/mahaner-pruning-75-seed0", "pruning-75-seed0",
                "tokens/token-sample-baseline-seed0"):
        write(root, "quick", run)
    write(root, "a-study", "classical-seed0")
    write(root, "cpu", "tokens/mahaner-baseline-seed1")
    assert book.pages(book.assemble(TOC)[0])[1:] == ["results/a-study/classical-seed0.ipynb"] + [
        f"results/quick/{run}.ipynb" for run in (
            "pruning-75-seed0", "tokens/mahaner-pruning-75-seed0", "tokens/token-sample-baseline-seed0",
            "tokens/token-sample-pruning-50-joint-seed0")]


def test_a_notebook_that_ends_in_an_error_is_refused(root):
    error = new_output("error", ename="LaghuError", evalue="no such corpus", traceback=[])
    file = write(root, "cpu", "baseline-seed1", error)
    with pytest.raises(LaghuError, match=r"baseline-seed1.ipynb: cell 2 ends in LaghuError: no such corpus"):
        book.refuse_errors(file)
    book.refuse_errors(write(root, "cpu", "baseline-seed1", new_output("stream", text="Error: not one")))


@pytest.mark.parametrize("name", sorted(book.PUBLISHED - {"gpu-bengali", "gpu-small"}))  # tables of them, no pages
def test_the_committed_contents_name_the_runs_of_the_first_seed_and_the_costs(name):
    toc = yaml.safe_load((REPOSITORY / "_toc.yml").read_text(encoding="utf-8"))
    named = [page.removeprefix(f"results/{name}/").removesuffix(".ipynb") for page in book.pages(toc)
             if page.startswith(f"results/{name}/")]
    study = Study.load(name)
    seed = (*study.runs, *study.tokens)[0].seed
    first = [spec.run for spec in study.runs if spec.seed == seed]
    every = sorted(first, key=lambda run: Row.parse(row_of(run)).order)
    costs = [f"cost/{precision}" for precision in study.cost.precisions] if study.cost else []
    words = [f"tokens/{run.run}" for run in study.tokens if run.seed == seed]
    assert named == [*every, *costs, *words]


def test_builds_a_small_book_and_fails_on_a_number_that_does_not_exist(root, capsys):
    for record in fake_study(seeds=(1,)):
        record.save()
    write(root, "cpu", "baseline-seed1")
    shutil.copy(REPOSITORY / "_config.yml", root)
    (root / "_toc.yml").write_text(yaml.safe_dump(TOC), encoding="utf-8")
    (root / "book" / "_static").mkdir()
    for name in ("laghu.css", "tables.js", "favicon.svg"):
        (root / "book" / "_static" / name).touch()
    (root / "book" / "references.bib").touch()
    (root / "book" / "provenance.md").write_text("# Provenance\n\n:::{run-table} cpu\n:::\n", encoding="utf-8")
    page = root / "book" / "index.md"
    page.write_text("# Book\n\n{mean}`cpu/baseline#rows.clean`\n", encoding="utf-8")
    index = book.build()
    assert index == root / "_build" / "html" / "index.html"
    assert "2,011" in (index.parent / "book" / "index.html").read_text(encoding="utf-8")
    assert (index.parent / "results" / "cpu" / "baseline-seed1.html").is_file()
    assert "left out, not run in this checkout: 1 of results/cpu\n" in capsys.readouterr().out

    page.write_text("# Book\n\n{mean}`cpu/baseline#rows.cleen`\n", encoding="utf-8")
    with pytest.raises(LaghuError, match=r"index.md:3: WARNING: .*no field 'rows.cleen'"):
        book.build()
