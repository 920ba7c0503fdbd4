"""The explorer's directives on pages of their own, with invented records."""

import json
import re

import pytest
from fake_benchmark import benchmark
from fake_records import fake_study
from html_pages import Parts
from sphinx_pages import render, rendered

from laghu.report import explorer
from laghu.report.explorer_ext import json_block

NASTY = '</script><img src=x onerror="alert(1)">&<!--'
# As the invented records count.
SHAPE = {"vocab_size": 8000, "hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4,
         "intermediate_size": 1024, "max_position_embeddings": 128}
PAGES = {
    "index": "# Index\n\n```{toctree}\nbook/tools\nbook/form\nbook/wrong\nbook/provenance\nbook/speed\n"
             "results/cpu/baseline-seed1\n```\n",
    "book/tools": "# Tools\n\n```{explorer} cpu\n```\n",
    "book/form": "# Form\n\n```{calculator} cpu\n:start: Pruning 50 %\n```\n\n```{calculator} gpu\n```\n",
    "book/wrong": "# Wrong\n\n```{explorer} gpu\n```\n\n```{calculator} cpu\n:start: Nothing\n```\n\n"
                  "```{calculator} nothing\n```\n",
    "book/provenance": "# Provenance\n\n```{run-table} cpu\n```\n",
    "book/speed": "# Speed\n",
    "results/cpu/baseline-seed1": "# A run\n",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """HTML by page, the warnings, and the folder; the study's title wants to be markup."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "studies").mkdir()
    for study, title in (("cpu", NASTY), ("gpu", "never run")):
        seeds = "seeds: [1, 2, 3]\n" if study == "cpu" else "seeds: [1]\n"
        runs = "".join(f"  - {{technique: {r.technique}, pruning_level: {r.pruning_level}, "
                       f"distillation: {r.distillation}, precision: {r.precision}}}\n"
                       for r in fake_study(seeds=(1,))) if study == "cpu" else "  - {technique: baseline}\n"
        (folder / "studies" / f"{study}.yaml").write_text(
            f"title: {json.dumps(title)}\n{seeds}common: {{}}\nruns:\n{runs}", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAGHU_HOME", str(folder))
        for run in fake_study():
            run.model_copy(update={"settings": run.settings | {"architecture": SHAPE}}).save()
        benchmark(study="cpu").save()
        _, warnings = render(
            folder, PAGES["index"], "laghu.report.sphinx_ext", "laghu.report.explorer_ext", nitpicky=True,
            files={f"{name}.md": text for name, text in PAGES.items()}, smartquotes=False, exclude_patterns=["html"],
        )
        expected = explorer.collect()
    return {name: rendered(folder, name) for name in PAGES}, warnings, folder, expected


def block(html):
    return re.search(r'<script type="application/json">(.*?)</script>', html, re.S)[1]


def test_the_page_holds_all_points(site):
    html, _, _, expected = site
    given = json.loads(block(html["book/tools"]))
    assert given["data"] == expected.model_dump(mode="json")
    assert given["start"] == "cpu"
    assert set(given["links"]) == {point.id for point in [*expected.runs, *expected.means]}


def test_a_point_leads_to_its_page_or_else_to_its_line_of_provenance(site):
    html = site[0]
    links = json.loads(block(html["book/tools"]))["links"]
    assert links["cpu#baseline-seed1"] == links["cpu#baseline"] == "../results/cpu/baseline-seed1.html"
    assert links["cpu/speed#pipeline"] == "speed.html"
    page, _, identifier = links["cpu#pruning-50-seed2"].partition("#")
    assert page == "provenance.html"
    line = next(row for row in re.findall(r"<tr.*?</tr>", html["book/provenance"], re.S) if f'id="{identifier}"' in row)
    assert "pruning-50-seed2" in re.sub(r"<[^>]+>", "", line)


def test_without_a_script_there_is_a_table_of_every_collection(site):
    html, _, _, expected = site
    shown = re.search(r'laghu-without-script.*', html["book/tools"], re.S)[0]
    bodies = re.findall(r"<tbody>(.*?)</tbody>", shown, re.S)
    assert len(bodies) == len(expected.collections) == 2
    for body, collection in zip(bodies, expected.collections, strict=True):
        points = [point for point in expected.means if point.collection == collection.key]
        rows = re.findall(r"<tr.*?</tr>", body, re.S)
        assert len(rows) == len(points)
        for row, point in zip(rows, points, strict=True):
            cells = [re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r"<t[hd].*?</t[hd]>", row, re.S)]
            assert cells[0] == point.label
            assert cells[4] == explorer.shown(explorer.AXES[0], point.values[0])
            assert re.search(r'<a class="reference internal" href="[^"]+"', row)


def test_markup_in_a_title_stays_text(site):
    html = site[0]
    assert not re.search("[<>&]", block(html["book/tools"]))
    assert json.loads(block(html["book/tools"]))["data"]["collections"][0]["title"] == NASTY
    assert not [attributes for _, attributes in Parts(html["book/tools"]).elements if "onerror" in attributes]


def test_a_block_ends_where_it_should():
    content = {"text": NASTY, "नाव": [1.5, None, True]}
    assert json.loads(json_block(content)) == content
    assert not re.search("[<>&]", json_block(content))


def test_scripts_are_on_pages_that_need_them(site):
    def loaded(page):
        return re.findall(r'<script defer="defer" src="[./]*_static/explorer/(\w+)\.js', site[0][page])

    assert loaded("book/tools") == ["common", "plot", "explorer"]
    assert loaded("book/form") == ["common", "calculator"]
    assert loaded("book/wrong") == loaded("index") == []
    assert ["explorer.css" in site[0][page] for page in ("book/tools", "book/form", "index")] == [True, True, False]


def test_the_files_to_download_hold_the_same(site):
    _, _, folder, expected = site
    links = re.findall(r'href="\.\./(_downloads/[^"]+)"', site[0]["book/tools"])
    files = {name.rpartition("/")[2]: folder / "html" / name for name in links}
    assert set(files) == {"runs.csv", "means.csv", "explorer.json"}
    assert explorer.Explorer.model_validate_json(files["explorer.json"].read_bytes()) == expected
    assert len(files["runs.csv"].read_text(encoding="utf-8").splitlines()) == len(expected.runs) + 1


def test_the_calculator_gets_the_shapes_of_the_study(site):
    given = json.loads(block(site[0]["book/form"]))
    assert (given["reference"], given["start"]) == ("Baseline", "Pruning 50 %")
    assert given["shapes"]["Pruning 50 %"]["ffn"] == 512
    assert [each["key"] for each in given["inputs"]] == list(given["shapes"]["Baseline"])
    assert "laghu study gpu runs it" in site[0]["book/form"]


def test_what_does_not_exist_is_a_warning_at_its_line(site):
    lines = site[1].splitlines()
    assert len(lines) == 3
    for line, place, reason in zip(lines, (3, 6, 10), (
            "there are no runs of 'gpu'", "no shape 'Nothing'; there are Baseline", "no study 'nothing'"), strict=True):
        assert f"wrong.md:{place}" in line
        assert reason in line
