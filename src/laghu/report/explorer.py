"""Every published run as a point between two measures that a reader chooses: the data of the page of the explorer.

`collect` gathers them from the records of all studies and from the benchmarks. Measures are in the units of the
records; an axis says by what they are multiplied to be read. What two points have to share before they may stand on one
front is said by their axes: `bound_to`. `Explorer` describes every field of the JSON that the page and its readers get.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from statistics import fmean, stdev
from typing import Any, Literal

import pandas as pd
from matplotlib.markers import MarkerStyle
from pydantic import Field

from laghu import paths
from laghu.benchmark import record as benchmark
from laghu.records import Part, TokenRecord
from laghu.report import formats, tables, tokens
from laghu.report.rows import GROUPS, Row, row_of
from laghu.report.style import LOOKS, Look, on_dark
from laghu.spec import Study

VIEWS = ("clean", "deduplicated", "published")
# The group of a benchmark's contenders that are no row of a study; the groups of all others are those of `rows.GROUPS`.
PEERS = "peers"
MARKS = LOOKS | {PEERS: Look("#4d4d4d", (4, 1, 0), 1.5)}
# The one contender of a benchmark that is given token ids, by its step; the others are given texts.
TOKENISED = "tokenised beforehand"
# How integers are called in the records of rows and in those of contenders.
_SCHEMES = {"int8-weights": "int8 weights", "int4-weights": "int4 weights", "int8-dynamic": "int8", "fp32": "fp32"}
_PARTS = ("gpu", "cpu", "ram")
_MEASURES = {"ner": "F1 of entities", "pos": "Accuracy of words"}


class Axis(Part):
    """A measure to lay along an axis."""

    key: str
    field: str = Field(description="dotted name as in `laghu.records.frame`, and column of the CSV")
    label: str = Field(description="for readers; {measure} stands for that of the points' collection")
    factor: float = Field(description="times a value gives it in `symbol`")
    symbol: str
    decimals: int | None = Field(description="None: three significant digits")
    better: Literal["higher", "lower"]
    log: bool = Field(description="whether it is drawn on a logarithmic scale until the reader says otherwise")
    bound_to: Literal["texts", "machine", "timing"] = Field(
        description="what points share that compare along it: the test texts; also the machine; also how it was timed"
    )


class Technique(Part):
    """What points of one colour and one marker have in common."""

    key: str
    label: str
    color: str
    on_dark: str
    path: str = Field(description="the marker as an SVG path of about one unit around the origin")


class Collection(Part):
    """Runs of one study on one corpus, or the contenders of its benchmark."""

    key: str
    title: str
    corpus: str
    measure: str = Field(description="what the axes of quality hold")
    synthetic: bool


class Point(Part):
    """A run, or the mean over the seeds of a row; a measure that it lacks is None."""

    id: str = Field(description="that no other run, or no other mean, has")
    collection: str
    label: str
    technique: str
    precision: str
    seeds: list[int]
    machine: str
    timing: str = Field(description="engine and conditions of its times and of its energy in use")
    energy: str = Field(description="how its energy is known, by part of the machine")
    commits: list[str]
    pages: list[str] = Field(description="pages of the book that are about it, best first; not all may be in the book")
    anchors: list[str] = Field(description="where provenance lists its runs")
    values: list[float | None] = Field(description="by axis, in the units of the record")
    deviations: list[float | None] | None = Field(description="standard deviation over the seeds; None for one seed")


class Explorer(Part):
    """All that the page needs."""

    axes: list[Axis]
    techniques: list[Technique]
    collections: list[Collection]
    runs: list[Point]
    means: list[Point] = Field(description="the same over seeds, by row")


_PER_1000 = "inference_energy.{}_per_1000_documents"
AXES = (
    *(Axis(key=view, field=f"accuracy.{view}.value", label=f"{{measure}}, {shown}", factor=100, symbol="%", decimals=1,
           better="higher", log=False, bound_to="texts")
      for view, shown in zip(VIEWS, ("clean view", "deduplicated view", "published view"), strict=True)),
    Axis(key="latency", field="latency_ms.p50", label="Latency of one text", factor=1, symbol="ms", decimals=None,
         better="lower", log=True, bound_to="timing"),
    Axis(key="throughput", field="documents_per_second", label="Throughput", factor=1, symbol="texts/s", decimals=None,
         better="higher", log=True, bound_to="timing"),
    Axis(key="size", field="weight_bytes", label="Size of the weights", factor=2**-20, symbol="MiB", decimals=None,
         better="lower", log=True, bound_to="texts"),
    Axis(key="parameters", field="parameters.total", label="Parameters", factor=1e-6, symbol="M", decimals=None,
         better="lower", log=True, bound_to="texts"),
    Axis(key="energy", field=_PER_1000.format("kwh"), label="Energy per 1,000 texts", factor=1e6, symbol="mWh",
         decimals=None, better="lower", log=True, bound_to="timing"),
    Axis(key="co2e", field=_PER_1000.format("co2e_kg"), label="CO₂e per 1,000 texts", factor=1e6, symbol="mg",
         decimals=None, better="lower", log=True, bound_to="timing"),
    Axis(key="training-energy", field="energy_kwh", label="Energy of training", factor=1e3, symbol="Wh", decimals=None,
         better="lower", log=True, bound_to="machine"),
    Axis(key="training-co2e", field="co2e_kg", label="CO₂e of training", factor=1e3, symbol="g", decimals=None,
         better="lower", log=True, bound_to="machine"),
)
FIELDS = tuple(axis.field for axis in AXES)


def collect(load: Callable[[str], pd.DataFrame] = tables.study) -> Explorer:
    """What the records of this checkout hold: all studies by name, texts before words before benchmarks.

    Args:
        load: gives the frame of a study, as `tables.study` does.

    Raises:
        LaghuError: a record can't be read, or runs of a study don't belong together.
    """
    found: list[tuple[Collection, list[Point]]] = []
    for name in sorted(file.stem for file in paths.studies().glob("*.yaml")):
        found += _of_study(name, load(name))
    runs = [point for _, points in found for point in points]
    used = {point.technique for point in runs}
    return Explorer(
        axes=list(AXES), techniques=[technique for technique in techniques() if technique.key in used],
        collections=[collection for collection, _ in found], runs=runs, means=means(runs),
    )


def _of_study(name: str, frame: pd.DataFrame) -> Iterator[tuple[Collection, list[Point]]]:
    """The collections of one study that have runs; the frame holds those on texts."""
    study = Study.load(name)
    title = study.title
    by_corpus = [] if frame.empty else list(frame.groupby("corpus"))
    for corpus, of_corpus in by_corpus:
        also, of = (f"/{corpus}", f", {corpus}") if len(by_corpus) > 1 else ("", "")
        collection = Collection(key=f"{name}{also}", title=f"{title}{of}", corpus=corpus, measure="Accuracy",
                                synthetic=bool(of_corpus["synthetic"].any()))
        yield collection, of_texts(of_corpus, collection)
    for corpus in dict.fromkeys(run.corpus for run in study.tokens):
        if loaded := tokens.listed(name, corpus):
            collection = Collection(key=f"{name}/{corpus}", title=f"{title}, {corpus}", corpus=corpus,
                                    measure=_MEASURES[loaded[0].task], synthetic=loaded[0].synthetic)
            yield collection, of_words(loaded, collection)
    if benchmark.file_of(name).is_file():
        measured = benchmark.BenchmarkRecord.load(benchmark.file_of(name))
        collection = Collection(key=f"{name}/speed", title=f"{title}: from text to label", corpus=measured.corpus,
                                measure="Accuracy", synthetic=measured.synthetic)
        yield collection, of_benchmark(measured, collection)


def of_texts(frame: pd.DataFrame, collection: Collection) -> list[Point]:
    """Points of a frame of `tables.study`, in the order of every table and by seed."""
    return _of_frame(frame, collection, list(FIELDS), "{}")


def of_words(loaded: Sequence[TokenRecord], collection: Collection) -> list[Point]:
    """Points of token classifiers; the axes of quality hold their headline score."""
    frame = tokens.frame(loaded)
    headline = f"scores.{tokens.HEADLINE[loaded[0].task]}."
    fields = [field.replace("accuracy.", headline) if field.startswith("accuracy.") else field for field in FIELDS]
    return _of_frame(frame, collection, fields, "tokens/{}")


def _of_frame(frame: pd.DataFrame, collection: Collection, fields: Sequence[str], page: str) -> list[Point]:
    """A point for each run.

    Args:
        fields: the frame's columns for the axes.
        page: of a run, below the folder of its study.
    """
    points = []
    for run in sorted(frame.index, key=lambda run: (Row.parse(frame.at[run, "row"]).order, frame.at[run, "seed"])):
        line, row = frame.loc[run], Row.parse(frame.at[run, "row"])
        points.append(Point(
            id=f"{collection.key}#{run}", collection=collection.key, label=row.label, technique=row.group,
            precision=_SCHEMES[row.variant] if row.of else line["timing.precision"],
            seeds=[line["seed"]], machine=tables.machines(frame.loc[[run]]), timing=_timing(line),
            energy=_known({part: line.get(f"energy_source.{part}") for part in _PARTS}),
            commits=[line["commit"]], pages=[f"results/{line['study']}/{page.format(run)}"],
            anchors=[f"run-{line['study']}-{run}"], values=[_number(line.get(field)) for field in fields],
            deviations=None,
        ))
    return points


def of_benchmark(measured: benchmark.BenchmarkRecord, collection: Collection) -> list[Point]:
    """Points of a benchmark's contenders; latency was taken of the last step of the path alone."""
    machine = tables.machines(pd.json_normalize([{"hardware": measured.hardware}]))
    points = []
    for contender in measured.contenders:
        given = "token ids" if contender.step == TOKENISED else "text"
        on_path = contender.kind == "path"
        known: dict[str, float | None] = {
            **{f"accuracy.{view}.value": value for view, value in (contender.accuracy or {}).items()},
            "documents_per_second": contender.documents_per_second.median,
            "weight_bytes": contender.size_mb and contender.size_mb * 1e6,
            "latency_ms.p50": measured.latency_ms["p50"] if contender == measured.path[-1] else None,
        }
        if contender.energy:
            known[_PER_1000.format("kwh")] = contender.energy.kwh
            known[_PER_1000.format("co2e_kg")] = contender.energy.kwh * measured.grid_g_per_kwh / 1000
        points.append(Point(
            id=f"{collection.key}#{contender.name}", collection=collection.key,
            label=contender.step[0].upper() + contender.step[1:] if on_path else contender.name,
            technique=PEERS if contender.kind == "peer" or not contender.run else Row.parse(contender.run).group,
            precision=contender.precision, seeds=[measured.seed], machine=machine,
            timing=f"{given} to label, a stream of {measured.headlines:,} headlines",
            energy=_known(contender.energy.source if contender.energy else {}), commits=[measured.commit],
            pages=["book/speed"], anchors=[], values=[known.get(field) for field in FIELDS], deviations=None,
        ))
    return points


def means(runs: Iterable[Point]) -> list[Point]:
    """Mean and sample standard deviation over seeds of what is else the same, in the order of the first of each.

    A measure has a mean where every seed has it: a training that was interrupted leaves its cost unknown. Where a row
    has several means, as of two machines, all but the first have their number in their ids.
    """
    alike: dict[tuple[str, ...], list[Point]] = {}
    for run in runs:
        key = (run.collection, row_of(run.id), run.precision, run.machine, run.timing)
        alike.setdefault(key, []).append(run)
    of_row: Counter[str] = Counter()
    found = []
    for (_, row, *_), points in alike.items():
        of_row[row] += 1
        found.append(_mean(row if of_row[row] == 1 else f"{row}@{of_row[row]}", points))
    return found


def _mean(name: str, points: Sequence[Point]) -> Point:
    over = [column if None not in column else None for column in zip(*(point.values for point in points), strict=True)]
    return points[0].model_copy(update={
        "id": name, "seeds": [seed for point in points for seed in point.seeds],
        "commits": list(dict.fromkeys(commit for point in points for commit in point.commits)),
        "pages": list(dict.fromkeys(page for point in points for page in point.pages)),
        "anchors": [anchor for point in points for anchor in point.anchors],
        "values": [column and fmean(column) for column in over],
        "deviations": [column and stdev(column) for column in over] if len(points) > 1 else None,
    })


def techniques() -> list[Technique]:
    """All that a point can be of, as the figures of the book draw them, in the order of every table."""
    labels = GROUPS | {PEERS: "What others offer"}
    return [Technique(key=key, label=label, color=MARKS[key].color, on_dark=on_dark(MARKS[key].color),
                      path=_svg_path(MARKS[key])) for key, label in labels.items()]


def shown(axis: Axis, value: float | None) -> str:
    """A value as the page has it, without its unit; "–" where there is none."""
    decimals = axis.decimals
    if decimals is None:
        decimals = formats.three_digits(value or 0, axis.factor, axis.symbol).decimals
    return formats.Unit(axis.factor, axis.symbol, decimals).number(value)


def csv(points: Sequence[Point], collections: Sequence[Collection]) -> pd.DataFrame:
    """The points with their measures by field, in the units of the record, as a table for others."""
    of = {collection.key: collection for collection in collections}
    return pd.DataFrame([
        {"id": point.id, "study": of[point.collection].title, "corpus": of[point.collection].corpus,
         "measure": of[point.collection].measure, "run": point.label, "technique": point.technique,
         "precision": point.precision, "seeds": " ".join(map(str, point.seeds)), "machine": point.machine,
         "timing": point.timing, "energy": point.energy, "commits": " ".join(point.commits),
         **dict(zip(FIELDS, point.values, strict=True))}
        for point in points
    ])


def _timing(line: pd.Series) -> str:
    products = line["timing.fp32_products"]
    rest = "" if products == "highest" else f", {products} fp32 products"
    return (f"{line['timing.engine']}, {line['timing.sequence_length']} tokens, batches of "
            f"{line['timing.throughput_batch_size']}{rest}")


def _known(source: Mapping[str, Any]) -> str:
    """How the energy of each part that is there is known, e.g. "CPU estimated, RAM estimated"."""
    return ", ".join(f"{part.upper()} {source[part]}" for part in _PARTS
                     if source.get(part) in {"measured", "estimated"}) or "not measured"


def _number(value: Any) -> float | None:
    return None if value is None or pd.isna(value) else float(value)


def _svg_path(look: Look) -> str:
    """The marker of a look as an SVG path; SVG counts downwards."""
    style = MarkerStyle(look.marker)
    outline = style.get_path().transformed(style.get_transform().scale(look.size**0.5))
    letters: Mapping[int, str] = {outline.MOVETO: "M", outline.LINETO: "L", outline.CURVE3: "Q", outline.CURVE4: "C",
                                  outline.CLOSEPOLY: "Z"}
    drawn = []
    for vertices, code in outline.iter_segments():
        signed = [-number if place % 2 else number for place, number in enumerate(vertices)]
        drawn.append(letters[code] + " ".join(f"{round(number, 3) + 0:g}" for number in signed if letters[code] != "Z"))
    return "".join(drawn)
