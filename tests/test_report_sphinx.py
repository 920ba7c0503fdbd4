import re
import shutil
import statistics
from pathlib import Path

import pytest
from fake_records import fake_record, fake_study, fake_token_record
from html_pages import plain
from sphinx_pages import render, rendered

from laghu.spec import RunSpec, TokenRun

REPOSITORY = Path(__file__).parents[1]
STUDY = fake_study()
# Rows of other techniques, in a study of their own; the quantised ones run in another engine.
OTHERS = [
    fake_record(RunSpec.model_validate({"study": "others", "seed": seed, **row})) for seed in (1, 2) for row in (
        {"technique": "baseline"}, {"technique": "pruning", "pruning_level": 0.75},
        {"technique": "minitron", "pruning_level": 0.75},
        {"technique": "two_step_distillation", "two_step": {"name": "moderate"}},
        {"technique": "two_step_distillation", "two_step": {"name": "alpha0", "alpha": 0}},
        {"technique": "quantization"})
]
OTHERS = [record.model_copy(update={"timing": record.timing.model_copy(update={"engine": "ONNX Runtime, ids"})})
          if record.technique == "quantization" else record for record in OTHERS]
WORDS = fake_token_record(TokenRun(study="others", corpus="token-sample"))
PROVENANCE = "# Provenance\n\n:::{run-table} cpu\n:::\n"
NBSP = "\N{NO-BREAK SPACE}"


class Site:
    """A book of one page and those of provenance, built with Sphinx's plainest theme."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def build(self, text: str) -> tuple[str, str]:
        """HTML of the page, and the warnings."""
        return render(
            self.folder, f"# Page\n\n{text}\n\n```{{toctree}}\nprovenance\nothers\n```\n", "laghu.report.sphinx_ext",
            files={"provenance.md": PROVENANCE, "others.md": PROVENANCE.replace("cpu", "others")},
            myst_enable_extensions=["colon_fence"], numfig=True, nitpicky=True, smartquotes=False,
        )

    def provenance(self) -> str:
        return rendered(self.folder, "provenance")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    (folder / "book").mkdir()
    shutil.copytree(REPOSITORY / "book" / "data", folder / "book" / "data")
    (folder / "studies").mkdir()
    (folder / "studies" / "gpu.yaml").write_text("title: never run\nseeds: [1]\ncommon: {}\nruns: []\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAGHU_HOME", str(folder))
        for record in [*STUDY, *OTHERS, WORDS]:
            record.save()
        yield Site(folder)


def record(run):
    return next(record for record in STUDY if record.run == run)


def test_roles_write_the_numbers_of_the_records(site):
    html, warnings = site.build(
        "a {value}`cpu/pruning-50-seed1#accuracy.clean.value` b {mean}`cpu/pruning-50#accuracy.clean.value` "
        "c {count}`cpu/pruning-50` of {count}`cpu` d {mean}`cpu/baseline#rows.clean` e")
    accuracies = [100 * record(f"pruning-50-seed{seed}").accuracy.clean.value for seed in (1, 2, 3)]
    assert warnings == ""
    assert (f"a {accuracies[0]:.1f} % b {statistics.mean(accuracies):.1f} ± {statistics.stdev(accuracies):.1f} % "
            f"c 3 of {len(STUDY)} d 2,011 e") in plain(html)


def test_a_number_links_to_its_run_and_says_where_it_comes_from(site):
    html, _ = site.build("{value}`cpu/baseline-seed2#parameters.total` {mean}`cpu/baseline#parameters.total`")
    targets = re.findall(r'<abbr[^>]*title="([^"]*)"[^>]*><a[^>]*href="provenance.html#([^"]*)"', html)
    assert [target for _, target in targets] == ["run-cpu-baseline-seed2", "row-cpu-baseline"]
    for needed in ("baseline-seed2", record("baseline-seed2").run_key[:7], "0123456", "Invented CPU", "2026-11-20"):
        assert needed in targets[0][0]
    assert "3 seeds" in targets[1][0]
    assert all(f'id="{target}"' in site.provenance() for _, target in targets)


@pytest.mark.parametrize(("role", "reason"), [
    ("{value}`nosuch/baseline-seed1#co2e_kg`", "no study 'nosuch'"),
    ("{value}`cpu/baseline-seed9#co2e_kg`", "no run 'baseline-seed9'"),
    ("{value}`cpu/baseline-seed1#accuracy.clean.valu`", "no field 'accuracy.clean.valu'"),
    ("{value}`cpu/classical-seed1#speed_up.median`", "no value"),
    ("{value}`cpu/baseline-seed1#energy_components`", "no field 'energy_components'"),
    ("{mean}`cpu/pruning-10#co2e_kg`", "no row 'pruning-10'"),
    ("{mean}`cpu/classical#speed_up.median`", "no value"),
    ("{mean}`cpu-baseline-co2e`", "not of the form"),
    ("{count}`cpu/pruning-10`", "no row 'pruning-10'"),
    (":::{study-table} sumary\n:study: cpu\n:::", "no such table; there are summary"),
    (":::{study-table} summary\n:::", ":study:"),
    (":::{study-table} summary\n:study: others\n:rows: nosuch-*\n:name: n\n:::", "'nosuch-*' names no row"),
    (":::{study-table} summary\n:study: others\n:rows: minitron-*\n:::", ":rows: needs :name:"),
    (":::{study-table} table-one\n:study: others\n:rows: baseline\n:::", "chooses its rows itself"),
    (":::{study-table} quantization\n:study: cpu\n:::", "the study has no quantised row"),
    (":::{against-table} pruning-75\n:study: others\n:::", "needs the option :rows:"),
    (":::{against-table} nosuch\n:study: others\n:rows: baseline\n:name: n\n:::", "'nosuch' is not the name of a row"),
    (":::{ablation-table} pruning-75\n:study: others\n:::", "'pruning-75' is no row of two-step distillation"),
    (":::{study-figure} nosuch\n:study: cpu\n:::", "no such figure; there are answer, accuracy-speed"),
    (":::{study-figure} accuracy-speed\n:study: nosuch\n:::", "no study 'nosuch'"),
])
def test_what_does_not_exist_is_one_warning_at_its_line(site, role, reason):
    _, warnings = site.build(f"text\n\n{role}")
    assert len(warnings.splitlines()) == 1
    assert reason in warnings
    assert "index.md:5" in warnings


def test_a_study_that_was_not_run_is_no_warning_and_can_be_referred_to(site):
    html, warnings = site.build(
        "{mean}`gpu/baseline#co2e_kg` {numref}`f` {numref}`t`\n\n:::{study-figure} accuracy-speed\n:study: gpu\n"
        ":name: f\n:::\n\n:::{study-table} summary\n:study: gpu\n:name: t\n:::\n\n:::{run-table} gpu\n:::\n")
    assert warnings == ""
    assert plain(html).count("laghu study gpu runs it") == 3
    assert "not run yet Fig. 1 Table 1" in plain(html)


def test_a_study_of_texts_and_of_labelled_words_has_a_line_for_each_record(site):
    _, warnings = site.build("text")
    page = rendered(site.folder, "others")
    assert warnings == ""
    for record in [*OTHERS, WORDS]:
        assert f'id="run-others-{record.run}"' in page
    assert "Runs on labelled words of the study others" in plain(page)
    assert "labelled words" not in plain(site.provenance())


def test_a_figure_has_number_caption_alt_text_and_data(site):
    html, warnings = site.build(
        "See {numref}`head`.\n\n:::{study-figure} accuracy-speed\n:study: cpu\n:name: head\n:::")
    assert warnings == ""
    assert "See Fig. 1." in plain(html)
    assert re.search(r'<img alt="Scatter plot of accuracy[^"]*Pruning 75 %: [^"]*"', html)
    assert (site.folder / "html" / "_images" / "accuracy-speed.svg").read_text().count("<svg") == 1
    data = site.folder / "html" / re.search(r'href="([^"]*accuracy-speed.csv)"', html)[1]
    assert data.read_text().splitlines()[0].startswith("row,accuracy.clean.value.mean")


def test_the_content_is_the_caption_with_its_markup(site):
    html, warnings = site.build(
        ":::{study-table} speed\n:study: cpu\nA *caption* with {count}`cpu/baseline` <seeds>.\n:::")
    assert warnings == ""
    assert "<em>caption</em>" in html
    assert "A caption with 3" in plain(html)


def test_captions_end_with_the_machine_whoever_wrote_them(site):
    html, _ = site.build(
        ":::{study-table} speed\n:study: cpu\n:::\n\n:::{study-table} energy\n:study: cpu\nNo full stop\n:::\n\n"
        ":::{study-figure} pareto-latency\n:study: cpu\nMine.\n:::")
    captions = [plain(text) for text in re.findall(r'<span class="caption-text">(.*?)</span></?[ap]?', html, re.S)]
    assert len(captions) == 3
    assert all(caption.endswith(". Machine: Invented CPU, 2 threads.") for caption in captions)
    assert captions[1].startswith("No full stop. Machine")
    assert captions[2].startswith("Mine. Machine")


@pytest.mark.parametrize("table", ["comparison", "comparison-views"])
def test_comparisons_are_made_from_the_records(site, table):
    html, warnings = site.build(f":::{{study-table}} {table}\n:study: cpu\n:::")
    assert warnings == ""
    ours, base = ([record(f"{row}-seed{seed}").accuracy.clean.value for seed in (1, 2, 3)]
                  for row in ("pruning-75", "baseline"))
    line = re.search(r"<tr[^>]*><th[^>]*><p>Pruning 75 %</p></th>.*?</tr>", html, re.S)[0]
    assert f"<p>{100 * (statistics.mean(ours) - statistics.mean(base)):.2f}</p>" in line
    data = site.folder / "html" / re.search(rf'href="([^"]*{table}.csv)"', html)[1]
    assert "clean.low,clean.high" in data.read_text().splitlines()[0]


def test_a_table_shows_the_first_papers_rows_unless_others_are_named(site):
    html, warnings = site.build(
        ":::{study-table} summary\n:study: others\n:::\n\n"
        ":::{study-table} summary\n:study: others\n:rows: minitron-* quantization-*\n:name: small\n:::")
    assert warnings == ""
    first, second = re.findall(r"<table.*?</table>", html, re.S)
    assert re.findall(r"<th[^>]*stub[^>]*><p>([^<]+)</p>", first) == ["Baseline", "Pruning 75 %"]
    assert re.findall(r"<th[^>]*stub[^>]*><p>([^<]+)</p>", second) == ["Minitron, pruning 75 %", "8-bit weights"]
    assert "Not shown: 4 rows of other techniques." in plain(first)
    assert "Not shown" not in plain(second)
    assert "several engines" not in plain(first)  # PyTorch's alone
    assert "Encoders run in several engines (ONNX Runtime; invented)" in plain(second)
    assert {"summary.csv", "small.csv"} == {Path(href).name for href in re.findall(r'href="([^"]*\.csv)"', html)}


def test_rows_stand_against_a_reference_with_caption_machine_and_data(site):
    html, warnings = site.build(
        "{numref}`t`\n\n:::{against-table} pruning-75\n:study: others\n:rows: minitron-* baseline\n:name: t\n:::\n\n"
        ":::{ablation-table} two-step-moderate\n:study: others\n:name: a\n:::\n\n"
        ":::{study-table} quantization\n:study: others\n:name: q\n:::")
    assert warnings == ""
    tables = re.findall(r"<table.*?</table>", html, re.S)
    headings = [re.findall(r"<th[^>]*stub[^>]*><p>([^<]+)</p>", table) for table in tables]
    assert headings == [["Pruning 75 %", "Baseline", "Minitron, pruning 75 %"],
                        ["moderate: the reference", "alpha0: alpha 0 instead of 0.5"], ["Baseline", "8-bit weights"]]
    ours, other = ([record.accuracy.clean.value for record in OTHERS if record.run.startswith(row)]
                   for row in ("minitron-75", "pruning-75"))
    assert f"<p>{100 * (statistics.mean(ours) - statistics.mean(other)):.2f}</p>" in tables[0]
    assert "to the row “Pruning 75 %”, mean ± standard deviation over 2 seeds." in plain(tables[0])
    assert all("The corpus is invented. Machine: Invented CPU, 2 threads." in plain(table) for table in tables)
    assert "comparison.difference" in (
        site.folder / "html" / re.search(r'href="([^"]*/t\.csv)"', html)[1]).read_text().splitlines()[0]


@pytest.mark.parametrize("directive", ["against-table} pruning-75", "ablation-table} two-step-moderate"])
def test_a_comparison_of_a_study_that_was_not_run_says_so(site, directive):
    rows = ":rows: pruning-*\n" if "against" in directive else ""
    html, warnings = site.build(f":::{{{directive}\n:study: gpu\n{rows}:name: t\n:::")
    assert warnings == ""
    assert "laghu study gpu runs it" in plain(html)


def test_table_one_has_two_lines_of_headings_that_fit_together(site):
    html, _ = site.build(":::{study-table} table-one\n:study: cpu\n:::")
    head = re.search(r"<thead>(.*?)</thead>", html, re.S)[1]
    top, bottom = head.split("</tr>")[:2]
    width = sum(int(span or 1) for span in re.findall(r'<th(?:[^>]*colspan="(\d+)")?', top))
    assert width == bottom.count("<th") == len(re.search(r"<tbody>.*?</tr>", html, re.S)[0].split("<p>")) - 1


def test_run_table_offers_every_record(site):
    site.build("text")
    html = site.provenance()
    assert len(re.findall(r'href="_downloads/[^"]*/[^"]*\.json"', html)) == len(STUDY)
    assert "ab" * 32 in html  # what all runs share is said in full, once
    assert html.count("Invented CPU") == 1


def test_a_changed_record_changes_the_page(site):
    before, _ = site.build("{value}`cpu/baseline-seed1#rows.clean`")
    changed = record("baseline-seed1")
    file = changed.model_copy(update={"rows": changed.rows.model_copy(update={"clean": 1234})}).save()
    try:
        after, _ = site.build("{value}`cpu/baseline-seed1#rows.clean`")
    finally:
        changed.save(file.parent)
    assert "2,011" in plain(before)
    assert "1,234" in plain(after)
