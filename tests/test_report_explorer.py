import csv
import json
import math
import random
import shutil
import statistics
import subprocess
from pathlib import Path

import jsonschema
import pandas as pd
import pytest
from fake_benchmark import benchmark, contender
from fake_records import fake_study, fake_token_record

from laghu import records
from laghu.benchmark import waterfall
from laghu.report import explorer, style, tables
from laghu.report.explorer import AXES, PEERS, Collection
from laghu.report.rows import GROUPS, Row, row_of
from laghu.spec import Study, TokenRun

REPOSITORY = Path(__file__).resolve().parents[1]
RESULTS = REPOSITORY / "results"
SCRIPTS = REPOSITORY / "book" / "_static" / "explorer"
NODE = shutil.which("node")
TEXTS = Collection(key="cpu", title="Some study", corpus="sample", measure="Accuracy", synthetic=True)


@pytest.fixture(scope="module")
def found():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAGHU_HOME", str(REPOSITORY))
        return explorer.collect()


def fake_points(changed=None):
    loaded = fake_study()
    if changed:
        loaded = [changed(record) for record in loaded]
    return explorer.of_texts(tables.derived(records.frame(loaded)), TEXTS)


def unique(points):
    ids = [point.id for point in points]
    return len(set(ids)) == len(ids)


def at(content, field):
    for part in field.split("."):
        content = content and content.get(part)
    return content


def by_key(point):
    return {axis.key: value for axis, value in zip(AXES, point.values, strict=True)}


# ------------------------------------------------------------------------------- against the committed records


def test_every_published_run_on_texts_is_a_point_with_the_numbers_of_its_file(found):
    points = {point.id: point for point in found.runs}
    expected = 0
    for study in sorted(RESULTS.iterdir()):
        if not (REPOSITORY / "studies" / f"{study.name}.yaml").is_file():
            continue
        listed = {spec.run for spec in Study.load(study.name).runs}
        for file in sorted(study.glob("*.json")):
            if file.stem not in listed:
                continue
            content, point = json.loads(file.read_bytes()), points[f"{study.name}#{file.stem}"]
            expected += 1
            resumed = any(stage["resumed_at_step"] for stage in content["stages"])
            for axis, value in zip(AXES, point.values, strict=True):
                known = None if resumed and axis.key.startswith("training") else at(content, axis.field)
                assert value == known, (file.stem, axis.key)
            assert point.seeds == [content["seed"]]
            assert point.commits == [content["commit"]]
            assert content["hardware"]["cpu"] in point.machine
            assert f"{content['hardware']['threads']} thread" in point.machine
            assert point.timing.startswith(content["timing"]["engine"])
            assert point.pages == [f"results/{study.name}/{file.stem}"]
            assert point.anchors == [f"run-{study.name}-{file.stem}"]
    assert expected == sum("/" not in point.collection for point in found.runs) > 0


def test_every_run_on_words_is_a_point_with_its_headline_score(found):
    points = {point.id: point for point in found.runs}
    files = sorted(RESULTS.glob("*/tokens/*.json"))
    for file in files:
        content = json.loads(file.read_bytes())
        study, corpus = content["study"], content["corpus"]
        point = points[f"{study}/{corpus}#{file.stem}"]
        score = {"ner": "f1", "pos": "accuracy"}[content["task"]]
        for view in explorer.VIEWS:
            assert by_key(point)[view] == content["scores"][score][view]["value"]
        assert by_key(point)["latency"] == content["latency_ms"]["p50"]
        assert point.pages == [f"results/{study}/tokens/{file.stem}"]
    of_words = [c for c in found.collections if "/" in c.key and not c.key.endswith("/speed")]
    assert len(files) == sum(point.collection in {c.key for c in of_words} for point in found.runs)
    assert {c.measure for c in of_words} <= {"F1 of entities", "Accuracy of words"}


def test_every_contender_is_a_point(found):
    points = {point.id: point for point in found.runs}
    for file in RESULTS.glob("*/speed/benchmark.json"):
        content = json.loads(file.read_bytes())
        for each in content["contenders"]:
            measured = by_key(points[f"{content['study']}/speed#{each['name']}"])
            assert measured["throughput"] == each["documents_per_second"]["median"]
            assert measured["clean"] == at(each, "accuracy.clean")
            assert measured["energy"] == at(each, "energy.kwh")
        without_tokenising = [point for point in found.runs if point.collection == f"{content['study']}/speed"
                              and point.timing.startswith("token ids")]
        assert [point.id.partition("#")[2] for point in without_tokenising] == [waterfall.TOKENISED]


def test_means_are_those_of_the_tables(found):
    means = {point.id: point for point in found.means}
    compared = 0
    for collection in found.collections:
        if "/" in collection.key:
            continue
        summary = tables.summary(tables.study(collection.key))
        for row, line in summary.iterrows():
            point = means[f"{collection.key}#{row}"]
            for place, axis in enumerate(AXES):
                if line[axis.field, "count"] < len(point.seeds):
                    assert point.values[place] is None
                    continue
                compared += 1
                assert point.values[place] == pytest.approx(line[axis.field, "mean"], rel=1e-12)
                if len(point.seeds) > 1:
                    assert point.deviations[place] == pytest.approx(line[axis.field, "std"], rel=1e-6, abs=1e-18)
            assert (point.deviations is None) == (len(point.seeds) == 1)
    assert compared > 100


def test_a_collection_has_one_corpus_and_names_are_unique(found):
    keys = [collection.key for collection in found.collections]
    assert len(set(keys)) == len(keys)
    for points in (found.runs, found.means):
        ids = [point.id for point in points]
        assert len(set(ids)) == len(ids)
        assert {point.collection for point in points} == set(keys)
    assert keys[0] == "cpu"


def test_the_json_is_what_its_schema_says_and_comes_back_as_it_was(found):
    text = found.model_dump_json()
    jsonschema.validate(json.loads(text), explorer.Explorer.model_json_schema())
    assert explorer.Explorer.model_validate_json(text) == found
    assert [technique.key for technique in found.techniques] == [
        key for key in (*GROUPS, PEERS) if any(point.technique == key for point in found.runs)]


# ------------------------------------------------------------------------------- what must never be mixed


def test_seeds_from_two_machines_have_a_mean_each():
    def moved(record):
        hardware = record.hardware | ({"threads": 8} if record.seed == 3 else {})
        return record.model_copy(update={"hardware": hardware})

    means = [point for point in explorer.means(fake_points(moved)) if point.label == "Baseline"]
    assert [(point.machine, point.seeds) for point in means] == [
        ("Invented CPU, 2 threads", [1, 2]), ("Invented CPU, 8 threads", [3])]
    assert unique(explorer.means(fake_points(moved)))


@pytest.mark.parametrize("changed", [{"engine": "another"}, {"sequence_length": 64}, {"throughput_batch_size": 8},
                                     {"fp32_products": "high"}])
def test_seeds_timed_in_two_ways_have_a_mean_each(changed):
    def retimed(record):
        timing = record.timing.model_copy(update=changed if record.seed == 3 else {})
        return record.model_copy(update={"timing": timing})

    means = [point for point in explorer.means(fake_points(retimed)) if point.label == "Baseline"]
    assert [point.seeds for point in means] == [[1, 2], [3]]
    assert means[0].timing != means[1].timing
    assert unique(explorer.means(fake_points(retimed)))


def test_seeds_in_two_precisions_have_a_mean_each():
    def rounded(record):
        timing = record.timing.model_copy(update={"precision": "bf16"} if record.seed == 3 else {})
        return record.model_copy(update={"timing": timing})

    means = explorer.means(fake_points(rounded))
    assert {tuple(point.seeds) for point in means if point.label == "Baseline"} == {(1, 2), (3,)}
    assert unique(means)


def test_two_corpora_of_one_study_are_two_collections(monkeypatch):
    monkeypatch.setenv("LAGHU_HOME", str(REPOSITORY))
    loaded = [record.model_copy(update={"corpus": "sample" if record.seed == 1 else "mahasent"})
              for record in fake_study(study="cpu-bengali")]
    frames = {"cpu-bengali": tables.derived(records.frame(loaded))}
    collected = explorer.collect(lambda name: frames.get(name, pd.DataFrame()))
    texts = [collection for collection in collected.collections if collection.key.startswith("cpu-bengali")]
    assert [(c.key, c.corpus) for c in texts] == [("cpu-bengali/mahasent", "mahasent"),
                                                  ("cpu-bengali/sample", "sample")]
    for collection in texts:
        seeds = {point.seeds[0] for point in collected.runs if point.collection == collection.key}
        assert seeds == ({1} if collection.corpus == "sample" else {2, 3})


def test_a_mean_wants_a_value_of_every_seed():
    def interrupted(record):
        stage = records.StageReport(name="s", key="k", steps=9, seconds=1, resumed_at_step=4, energy_kwh=1, co2e_kg=1)
        return record.model_copy(update={"stages": [stage] if record.run == "baseline-seed2" else []})

    runs = fake_points(interrupted)
    mean = next(point for point in explorer.means(runs) if point.label == "Baseline")
    assert by_key(mean)["training-energy"] is None
    assert by_key(mean)["energy"] == pytest.approx(statistics.fmean(
        by_key(point)["energy"] for point in runs if point.label == "Baseline"))


def test_which_measures_compare_where():
    assert {axis.key: axis.bound_to for axis in AXES} == {
        "clean": "texts", "deduplicated": "texts", "published": "texts", "size": "texts", "parameters": "texts",
        "latency": "timing", "throughput": "timing", "energy": "timing", "co2e": "timing",
        "training-energy": "machine", "training-co2e": "machine"}
    assert {axis.key for axis in AXES if axis.better == "higher"} == {"clean", "deduplicated", "published",
                                                                     "throughput"}


# ------------------------------------------------------------------------------- benchmarks and words


def test_contenders_by_hand():
    tokenised = contender("shortcut", 900, kind="alternative", step=waterfall.TOKENISED.partition(", ")[2])
    measured = benchmark(contenders=[*benchmark().contenders, tokenised])
    speed = TEXTS.model_copy(update={"key": "quick/speed"})
    points = {point.id.partition("#")[2]: point for point in explorer.of_benchmark(measured, speed)}
    last = points["last"]
    assert by_key(last) == {
        "clean": 0.8, "deduplicated": pytest.approx(0.7), "published": pytest.approx(0.6), "latency": 0.25,
        "throughput": 400, "size": 2e6, "parameters": None, "energy": 1e-3 / 400,
        "co2e": pytest.approx(1e-3 / 400 * 0.7), "training-energy": None, "training-co2e": None}
    assert by_key(points["engine"])["latency"] is None
    assert last.label == "Step last"
    assert points["TF-IDF"].label == "TF-IDF"
    assert points["untrained"].technique == PEERS
    assert last.technique == "baseline"
    assert last.energy == "CPU estimated, RAM estimated"
    assert points["TF-IDF"].energy == "not measured"
    assert last.machine == "AMD EPYC, 2 threads"
    # It is given less to do, so it stands on no front with the others.
    assert points["shortcut"].timing == "token ids to label, a stream of 240 headlines"
    assert {point.timing for name, point in points.items() if name != "shortcut"} == {
        "text to label, a stream of 240 headlines"}


def test_words_by_hand():
    loaded = [fake_token_record(TokenRun(study="cpu", corpus="mahaner", seed=seed, pruning_level=level))
              for level in (0.5, 0.0) for seed in (2, 1)]
    points = explorer.of_words(loaded, TEXTS.model_copy(update={"key": "cpu/mahaner"}))
    assert [(point.label, point.seeds) for point in points] == [
        ("Baseline", [1]), ("Baseline", [2]), ("Pruning 50 %", [1]), ("Pruning 50 %", [2])]
    assert by_key(points[0])["clean"] == loaded[3].scores["f1"].clean.value


def test_rows_are_in_the_order_of_tables():
    labels = list(dict.fromkeys(point.label for point in fake_points()))
    rows = sorted({row_of(record.run) for record in fake_study()}, key=lambda row: Row.parse(row).order)
    assert labels == [Row.parse(row).label for row in rows]


def test_the_csv_has_the_units_of_the_records(tmp_path):
    points = fake_points()
    explorer.csv(points, [TEXTS]).to_csv(tmp_path / "points.csv", index=False)
    with (tmp_path / "points.csv").open(encoding="utf-8") as file:
        lines = {line["id"]: line for line in csv.DictReader(file)}
    record = next(record for record in fake_study() if record.run == "pruning-50-joint-seed2")
    line = lines["cpu#pruning-50-joint-seed2"]
    assert float(line["accuracy.clean.value"]) == record.accuracy.clean.value
    assert float(line["energy_kwh"]) == record.energy_kwh
    assert (line["study"], line["corpus"], line["seeds"]) == ("Some study", "sample", "2")
    assert lines["cpu#classical-seed1"]["inference_energy.kwh_per_1000_documents"] == ""
    assert len(lines) == len(points)


# ------------------------------------------------------------------------------- looks


def luminance(color):
    linear = [channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4
              for channel in (int(color[place : place + 2], 16) / 255 for place in (1, 3, 5))]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_that_of_wcag():
    assert style.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert style.contrast("#767676", "white") == pytest.approx(4.54, abs=0.005)  # the lightest grey that passes


@pytest.mark.parametrize("technique", explorer.techniques(), ids=lambda technique: technique.key)
def test_colours_can_be_seen_on_both_pages(technique):
    assert contrast(technique.color, "#ffffff") >= 3
    assert contrast(technique.on_dark, "#14181e") >= 4.5
    if technique.key != PEERS:
        assert technique.color == style.LOOKS[technique.key].color


def test_no_two_techniques_share_a_marker():
    paths = [technique.path for technique in explorer.techniques()]
    assert len(set(paths)) == len(paths) == len(style.LOOKS) + 1


def test_markers_point_the_way_that_figures_draw_them():
    paths = {technique.key: technique.path for technique in explorer.techniques()}
    assert paths["after"] == "M0 -0.5L-0.5 0.5L0.5 0.5Z"  # "^", and SVG counts downwards
    assert paths["ensemble-distillation"] == "M0 0.5L0.5 -0.5L-0.5 -0.5Z"  # "v"


# ------------------------------------------------------------------------------- the scripts


def node(program, **given):
    """What a program prints as JSON, with the scripts of the plot loaded and what it is given."""
    load = "".join(f"require({json.dumps(str(SCRIPTS / name))});" for name in ("common.js", "plot.js"))
    code = f"{load}const laghu = globalThis.laghu; const given = {json.dumps(given)};\n{program}"
    done = subprocess.run([NODE, "-e", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def dominated(point, points, signs):
    """By definition: some other of its group is nowhere worse and somewhere better."""
    for other in points:
        gains = [sign * (other[name] - point[name]) for name, sign in zip("xy", signs, strict=True)]
        if other["group"] == point["group"] and min(gains) >= 0 and max(gains) > 0:
            return True
    return False


@pytest.mark.skipif(NODE is None, reason="no node on this machine")
@pytest.mark.parametrize("better", [("lower", "higher"), ("higher", "higher"), ("lower", "lower"),
                                    ("higher", "lower")])
def test_the_front_of_the_script_is_that_of_the_definition(better):
    rng = random.Random(repr(better))
    # Few values, so that many tie; three groups, which must not see each other.
    points = [{"x": rng.randint(1, 12), "y": rng.randint(1, 12), "group": rng.choice("abc")} for _ in range(120)]
    signs = [1 if side == "higher" else -1 for side in better]
    expected = [not dominated(point, points, signs) for point in points]
    assert 3 <= sum(expected) < len(points) / 2
    given = node("console.log(JSON.stringify(laghu.plot.front(given.points, ...given.better)))",
                 points=points, better=better)
    assert given == expected


@pytest.mark.skipif(NODE is None, reason="no node on this machine")
def test_the_script_writes_numbers_as_python_does():
    rng = random.Random(1)
    values = [0, 1, 9.994, 10.2, 100.3, 99_999.4, 0.0012344] + [math.exp(rng.uniform(-7, 14)) for _ in range(300)]
    given = node("console.log(JSON.stringify(given.values.map((v) => laghu.fixed(v, laghu.decimalsOf(v)))))",
                 values=values)
    axis = explorer.Axis(key="k", field="f", label="l", factor=1, symbol="", decimals=None, better="lower", log=True,
                         bound_to="texts")
    assert given == [explorer.shown(axis, value) for value in values]


def test_the_scripts_ask_nobody_and_write_text_alone():
    for script in SCRIPTS.glob("*.js"):
        text = script.read_text(encoding="utf-8")
        for word in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "Function(", "fetch",
                     "XMLHttp", "import ", "https:", "localStorage", "cookie", '"style"'):
            assert word not in text, (script.name, word)
        assert text.startswith('"use strict";')


def test_a_value_without_a_number_is_a_dash():
    assert explorer.shown(AXES[0], None) == "–"
    assert explorer.shown(AXES[0], 0.78949) == "78.9"
