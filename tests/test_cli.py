"""The command line: what can be put right is one line on stderr and exit status 1."""

import sys

import nbformat
import pytest
from fake_records import fake_record, fake_token_record

from laghu import cli, freshness, paths, records, runner, token_freshness
from laghu.report import pdf
from laghu.spec import Study


@pytest.fixture
def laghu(monkeypatch):
    def run(*arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", ["laghu", *arguments])
        cli.main()

    return run


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("study", "nosuch"), ("no study 'nosuch'", "quick")),
        (("run", "nosuch", "baseline-seed0"), ("no study 'nosuch'", "quick")),
        (("run", "quick", "nosuch"), ("no run 'nosuch'", " baseline-seed0", "token-sample-baseline-seed0")),
        (("table", "nosuch"), ("no study 'nosuch'", "quick")),
        (("check", "nosuch"), ("no study 'nosuch'", "quick")),
    ],
)
def test_a_wrong_name_is_one_line_that_says_which_there_are(laghu, arguments, expected):
    with pytest.raises(SystemExit) as stopped:
        laghu(*arguments)
    message = stopped.value.code
    assert message.startswith("laghu: ") and "\n" not in message
    assert all(part in message for part in expected)


def test_an_unknown_argument_is_refused(laghu, capsys):
    with pytest.raises(SystemExit) as stopped:
        laghu("table", "quick", "--fast")
    assert stopped.value.code == 2
    assert "--fast" in capsys.readouterr().err


@pytest.fixture
def quick(tmp_path, monkeypatch):
    """Invented results of every run that the quick study lists."""
    monkeypatch.setattr(paths, "results", lambda study: tmp_path / study)
    study = Study.load("quick")
    made = [*map(fake_record, study.runs), *map(fake_token_record, study.tokens)]
    for record in made:
        nbformat.write(nbformat.v4.new_notebook(), str(record.save().with_suffix(".ipynb")))
    return made


def test_table_prints_every_row_of_the_study(laghu, capsys, quick):
    laghu("table", "quick")
    printed = capsys.readouterr().out
    study = Study.load("quick")
    assert all(spec.run.removesuffix("-seed0") in printed for spec in study.runs)
    assert all(f"{corpus}, one seed" in printed for corpus in {run.corpus for run in study.tokens})


@pytest.mark.parametrize(("study", "files"), [("cpu", ["accuracy-speed-up.svg"]), ("cpu-bengali", [])])
def test_the_study_of_the_readme_keeps_its_figure_beside_its_records(laghu, tmp_path, monkeypatch, study, files):
    monkeypatch.setattr(paths, "results", lambda name: tmp_path / name)
    monkeypatch.setattr(runner, "run_study", lambda name, extra: None)
    for spec in Study.load(study).runs:
        if spec.technique in ("baseline", "pruning"):
            fake_record(spec).save()
    laghu("study", study)
    assert [file.name for file in (tmp_path / study).glob("*.svg")] == files


def test_table_of_a_study_of_words_alone(laghu, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "results", lambda study: tmp_path / study)
    with pytest.raises(SystemExit) as stopped:
        laghu("table", "cpu-words")
    assert "has no results" in stopped.value.code
    for run in Study.load("cpu-words").tokens:
        fake_token_record(run).save()
    laghu("table", "cpu-words")
    printed = capsys.readouterr().out
    assert all(f"{corpus}, mean ± standard deviation over 3 seeds" in printed for corpus in ("mahaner", "ud-marathi"))


def test_check_names_what_is_stale_and_why(laghu, quick):
    with pytest.raises(SystemExit) as stopped:
        laghu("check", "quick")
    assert all(f"{record.run}: " in stopped.value.code for record in quick)
    assert "changed" in stopped.value.code


def test_check_passes_what_is_current_and_refuses_what_is_missing(laghu, capsys, quick, monkeypatch):
    for module in (freshness, token_freshness):
        monkeypatch.setattr(module, "why_stale", lambda record, spec, data: None)
    laghu("check", "quick")
    assert "every record" in capsys.readouterr().out
    for record in (quick[-1], quick[0]):
        record.file.unlink()
        with pytest.raises(SystemExit, match=record.run):
            laghu("check", "quick")


def test_schema_is_written_where_it_is_committed(laghu, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "root", lambda: tmp_path)
    (tmp_path / "results").mkdir()
    laghu("schema")
    assert (tmp_path / "results" / "record.schema.json").read_text(encoding="utf-8") == records.json_schema()


def test_pdf_prints_where_the_pdf_is(laghu, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(pdf, "make", lambda: tmp_path / "laghu.pdf")
    laghu("pdf")
    assert capsys.readouterr().out == f"{tmp_path / 'laghu.pdf'}\n"


def test_without_a_browser_there_is_no_pdf_and_nothing_is_built(laghu, tmp_path, monkeypatch):
    monkeypatch.delenv("LAGHU_CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(pdf, "_MAC", tmp_path / "nowhere")
    monkeypatch.setattr(pdf.book, "build", None)
    with pytest.raises(SystemExit) as stopped:
        laghu("pdf")
    assert stopped.value.code == "laghu: no Chromium or Chrome to print with; install one, or name it in LAGHU_CHROMIUM"
