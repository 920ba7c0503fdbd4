"""Tables and a figure of a study's benchmark (`laghu.benchmark`): from a pipeline to what is deployed."""

from collections.abc import Sequence

import pandas as pd

from laghu.benchmark.record import BenchmarkRecord, Contender, GpuRecord, Quartiles
from laghu.report import cost, formats, style
from laghu.report.figures import Drawing
from laghu.report.style import MUTED

_PATH, _TEACHER = "#0072b2", "#000000"


def path(record: BenchmarkRecord) -> pd.DataFrame:
    """The steps of the path, one a row, as text."""
    text = _common(record.path)
    text.insert(2, "This step (×)", [_with_quartiles(each.factor, 2) for each in record.path])
    text.insert(3, "At best (×)", [_bound(each) for each in record.path])
    energy = [each.energy.kwh for each in record.path if each.energy]
    unit = formats.unit("energy.kwh_per_1000_documents", min(energy))
    text[f"Energy per 1,000 ({unit.symbol})"] = [unit.number(each.energy.kwh) for each in record.path]
    return text


def path_caption(record: BenchmarkRecord) -> str:
    known = next(each.energy for each in record.path if each.energy)
    sources = ", ".join(f"{part.upper()} {how}" for part, how in known.source.items() if how != "absent")
    return (
        f"From the teacher in a transformers pipeline to what is deployed, one thing at a time: {_conditions(record)}. "
        "Times the pipeline and this step: median (quartiles) of ratios taken turn by turn. At best: ratio of the "
        "operations, for integers of the files' bytes, for prepared texts of no tokenising at all. "
        f"Energy: {sources}, over windows of {known.window_seconds:g} s or more."
    )


def others(record: BenchmarkRecord) -> pd.DataFrame:
    """The other contenders, one a row, as text."""
    rest = [each for each in record.contenders if each.kind != "path"]
    text = _common(rest)
    text.index = [each.name for each in rest]
    return text


def others_caption(record: BenchmarkRecord) -> str:
    return (f"Other ways, in the same turns as the path: {_conditions(record)}. Those named baseline and pipeline have "
            "the teacher's weights; at the size of BERT-base they are random, and have no accuracy.")


def growth(record: BenchmarkRecord) -> pd.DataFrame:
    """Streams of more and more headlines, one a row, as text."""
    return pd.DataFrame(
        {"Threads": [str(each.threads) for each in record.growth],
         "Seconds": [f"{each.seconds:,.2f}" for each in record.growth],
         "Documents/s": [f"{each.documents_per_second:,.0f}" for each in record.growth],
         "Memory on top (MB)": [f"{each.memory_mb:,.0f}" for each in record.growth]},
        index=[f"{each.documents:,}" for each in record.growth],
    )


def growth_caption(record: BenchmarkRecord) -> str:
    return (f"Streams through the last step, each in a process of its own: {_machine(record)}. The "
            f"{record.headlines:,} test headlines come again and again. Memory: by "
            "how much the stream exceeded the most that the process had held before, while it loaded the model.")


def shapes(record: BenchmarkRecord) -> pd.DataFrame:
    """What fewer FFN neurons give by themselves, one level a row, as text."""
    return pd.DataFrame(
        {"Speed-up (×)": [_with_quartiles(each.speed_up, 2) for each in record.pruned_shapes],
         "At best (×)": [f"{each.bound:.2f}" for each in record.pruned_shapes],
         "Of it (%)": [f"{100 * each.speed_up.median / each.bound:.0f}" for each in record.pruned_shapes]},
        index=[f"{100 * each.pruning_level:g} % of the neurons" for each in record.pruned_shapes],
    )


def shapes_caption(record: BenchmarkRecord) -> str:
    one = record.pruned_shapes[0]
    return (f"What pruning alone gives: the same engine ({one.engine}), batches of {one.batch_size} at "
            f"{one.sequence_length} tokens without padding; {one.shape}, random weights; {_machine(record)}. Median "
            f"(quartiles) of {record.turns} turns; at best: ratio of the operations.")


def tokenising(record: BenchmarkRecord) -> pd.DataFrame:
    """Microseconds of tokenising, one way a row, as text."""
    found = record.tokenising
    rows = {
        "tokenizers library, in threads of its own": found.library_threads,
        "tokenizers library, a chunk of the stream in each thread": found.chunks,
        "texts prepared for it, a chunk in each thread": found.prepared,
    }
    return pd.DataFrame({"Microseconds a headline": [f"{value:.1f}" for value in rows.values()]}, index=list(rows))


def tokenising_caption(record: BenchmarkRecord) -> str:
    return (f"Tokenising {record.headlines:,} test headlines: {_machine(record)}. "
            f"A headline takes {1e6 / record.path[-1].documents_per_second.median:.0f} microseconds altogether at the "
            "end of the path.")


def seeds(record: BenchmarkRecord) -> pd.DataFrame:
    """Accuracy of the teacher and of what is deployed, one seed a row and the views side by side, as text."""
    found = record.accuracy_of_seeds
    columns = {}
    for view in ("clean", "deduplicated", "published"):
        both = [(each["reference"][view], each["last"][view]) for each in found.values()]
        columns[view, "Teacher (%)"] = [f"{100 * teacher:.1f}" for teacher, _ in both]
        columns[view, "Deployed (%)"] = [f"{100 * last:.1f}" for _, last in both]
        columns[view, "Difference"] = [f"{100 * (last - teacher):+.1f}" for teacher, last in both]
    return pd.DataFrame(columns, index=[f"Seed {seed}" for seed in found])


def seeds_caption(record: BenchmarkRecord) -> str:
    return (f"Accuracy on three views of the test split of the labels that come out of both ends of the path: "
            f"{record.contenders[0].step} and {record.path[-1].step}.")


def waterfall(record: BenchmarkRecord) -> Drawing:
    """Documents per second after each step, on a logarithmic axis, each bar from where the one before ended."""
    steps = record.path
    speeds = [each.documents_per_second.median for each in steps]
    figure, axes = style.canvas(width=8.0, height=1.4 + 0.42 * len(steps))
    start = min(speeds) / 2
    for place, (each, speed) in enumerate(zip(steps, speeds, strict=True)):
        before = speeds[place - 1] if place else start
        axes.barh(place, abs(speed - before), left=min(before, speed), height=0.62,
                  color=_TEACHER if not place else _PATH if speed >= before else MUTED)
        factor = f"  {speed:,.0f}" + (f"   ({each.factor.median:.2f}×)" if each.factor else "")
        axes.text(max(before, speed), place, factor, va="center", fontsize=9)
    axes.set_xscale("log")
    axes.set_xlim(start, max(speeds) * 8)
    axes.set_yticks(range(len(steps)), [each.step for each in steps])
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("Documents per second, text to label")
    caption = (f"Documents per second after each step, from a transformers pipeline to what is deployed, and how many "
               f"times as many as before it: {_conditions(record)}. The axis is logarithmic; grey: slower.")
    alt = "Documents per second after each step. " + "; ".join(
        f"{each.step}: {speed:,.0f}" for each, speed in zip(steps, speeds, strict=True)) + "."
    return Drawing(figure, caption, alt, frame(record))


def on_gpu(record: GpuRecord) -> pd.DataFrame:
    """The steps on a GPU, one a row, as text."""
    steps = record.steps.values()
    return pd.DataFrame(
        {"Precision": [step["precision"] for step in steps],
         "Documents/s": [f"{step['documents_per_second']['median']:,.0f}" for step in steps],
         "Times the pipeline (×)": [_with_quartiles(Quartiles(**step["ratio"]), 1) for step in steps],
         "Clean accuracy (%)": [f"{100 * step['accuracy']['clean']:.1f}" for step in steps],
         "Of the GPU's peak (%)": [_share(step["share_of_peak"]) for step in steps]},
        index=list(record.steps),
    )


def on_gpu_caption(record: GpuRecord) -> str:
    reached = record.achieved
    return (f"The teacher on {cost.processor(record.hardware)}, text to label, batches of the test headlines. A model "
            f"of the paper's shape with random weights, {reached['texts']} packed texts of {reached['tokens']:,} "
            f"tokens together in {reached['precision']}: {reached['flops_per_second'] / 1e12:,.1f} TFLOP/s, "
            f"{_share(reached['share_of_peak'])} % of the dense peak.")


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"


def frame(record: BenchmarkRecord) -> pd.DataFrame:
    """All contenders as numbers, nested names joined with dots."""
    return pd.json_normalize([each.model_dump() for each in record.contenders])


TABLES = {
    "path": (path, path_caption), "others": (others, others_caption), "growth": (growth, growth_caption),
    "shapes": (shapes, shapes_caption), "tokenising": (tokenising, tokenising_caption), "seeds": (seeds, seeds_caption),
}


def _common(contenders: Sequence[Contender]) -> pd.DataFrame:
    return pd.DataFrame(
        {"Documents/s": [f"{each.documents_per_second.median:,.0f}" for each in contenders],
         "Times the pipeline (×)": [_with_quartiles(each.ratio, 1) for each in contenders],
         "Clean accuracy (%)": [f"{100 * each.accuracy['clean']:.1f}" if each.accuracy else "–" for each in contenders],
         "Weights (MB)": [f"{each.size_mb:,.1f}" if each.size_mb else "–" for each in contenders]},
        index=[each.step for each in contenders],
    )


def _with_quartiles(values: Quartiles | None, decimals: int) -> str:
    if values is None:
        return "–"
    median, low, high = (
        f"{value:,.{decimals if values.median < 100 else 0}f}" for value in (values.median, values.low, values.high)
    )
    return f"{median} ({low}–{high})" if low != high else median


def _bound(contender: Contender) -> str:
    return "–" if contender.bound is None else f"{contender.bound:.2f}"


def _machine(record: BenchmarkRecord) -> str:
    return cost.processor(record.hardware)


def _conditions(record: BenchmarkRecord) -> str:
    return (f"{record.headlines:,} headlines of the test split, text to label, {_machine(record)}, "
            f"{record.turns} turns, seed {record.seed}")
