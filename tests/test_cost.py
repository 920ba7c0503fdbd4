import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime

import nbformat
import pytest
import torch
import yaml
from checkout import Checkout
from transformers import BertConfig, BertForSequenceClassification

from laghu import backbones, cost, cost_runner, measurement, provenance, records
from laghu.energy import Energy
from laghu.errors import LaghuError
from laghu.measurement import Timing
from laghu.spec import CostRun, Study, checked

SHAPE = {
    "vocab_size": 200, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64,
    "max_position_embeddings": 16,
}
SETTINGS = {"sequence_lengths": [8, 16], "batch_sizes": [4, 1], "repeats": 3, "energy_window": 0.01, "shape": SHAPE}
WIDTHS = {"baseline": 64, "pruning-25": 48, "pruning-50": 32, "pruning-75": 16, "pruning-25-after": 48,
          "pruning-50-after": 32, "pruning-75-after": 16}


def run_in(precision: str = "fp32", **settings) -> CostRun:
    return checked(CostRun, {"precision": precision, "settings": SETTINGS | settings})


def closed_form(shape: dict, ffn: int) -> int:
    """Parameters of BERT with 12 labels, counted by hand."""
    d = shape["hidden_size"]
    embeddings = (shape["vocab_size"] + shape["max_position_embeddings"] + 2) * d + 2 * d
    layer = 4 * (d * d + d) + 2 * d * ffn + ffn + d + 2 * 2 * d
    return embeddings + shape["num_hidden_layers"] * layer + (d * d + d) + 12 * (d + 1)


# ------------------------------------------------------------------------------------------------ models


def test_the_seven_rows_have_the_shapes_of_table_one():
    models = cost.materialise(run_in())
    assert {row: model.config.intermediate_size for row, model in models.items()} == WIDTHS
    for row, model in models.items():
        assert sum(p.numel() for p in model.parameters()) == closed_form(SHAPE, WIDTHS[row])


@pytest.mark.parametrize(
    ("level", "parameters"), [(0, 237_565_452), (0.25, 223_400_460), (0.5, 209_235_468), (0.75, 195_070_476)]
)
def test_the_default_shape_is_the_papers(monkeypatch, level, parameters):
    shape = CostRun(precision="fp32").settings.shape
    assert {**shape.model_dump(), "type_vocab_size": 2} == backbones.PAPER_SHAPE
    monkeypatch.setattr(cost, "_device", lambda: "meta")
    model = cost._random_classifier(shape, level, torch.float32)
    assert sum(p.numel() for p in model.parameters()) == parameters == closed_form(shape.model_dump(), model.config.
                                                                                   intermediate_size)


def test_a_materialised_model_computes_like_one_made_the_usual_way():
    """`to_empty` leaves buffers such as position ids as the memory was."""
    model = cost.materialise(run_in())["pruning-50"]
    usual = BertForSequenceClassification(BertConfig(**SHAPE | {"intermediate_size": 32, "num_labels": 12})).eval()
    usual.load_state_dict(model.state_dict())
    ids = torch.arange(32).reshape(2, 16)
    with torch.no_grad():
        torch.testing.assert_close(model(ids).logits, usual(ids).logits)


def test_a_distilled_row_has_the_shape_and_not_the_weights_of_the_pruned_one():
    models = cost.materialise(run_in("bf16"))
    for level in ("25", "50", "75"):
        pruned, distilled = (dict(models[f"pruning-{level}{end}"].named_parameters()) for end in ("", "-after"))
        assert {name: p.shape for name, p in pruned.items()} == {name: p.shape for name, p in distilled.items()}
        assert all(p.dtype == torch.bfloat16 for p in pruned.values())
        for name, p in pruned.items():
            # Matrices are random, with BERT's deviation; biases and normalisations are not.
            assert torch.equal(p, distilled[name]) == (p.dim() == 1), name
    table = models["baseline"].bert.embeddings.word_embeddings.weight.float()
    assert table.std().item() == pytest.approx(0.02, rel=0.1)


@pytest.mark.parametrize("precision", ["fp16", "tf32"])
def test_what_the_machine_cannot_compute_is_refused_before_a_model_is_made(monkeypatch, precision):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(cost, "_random_classifier", None)
    with pytest.raises(LaghuError, match=f"needs a CUDA GPU.*Leave {precision} out") as caught:
        cost.measure(run_in(precision), datetime.now(UTC))
    assert "\n" not in str(caught.value)


def test_tf32_needs_an_ampere_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Tesla V100")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (7, 0))
    with pytest.raises(LaghuError, match="Tesla V100 has no tf32"):
        cost.refuse_unsupported("tf32")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (8, 0))
    cost.refuse_unsupported("tf32")


def test_an_unknown_country_is_refused_before_a_model_is_made(monkeypatch):
    monkeypatch.setattr(cost, "_random_classifier", None)
    with pytest.raises(LaghuError, match="country 'XYZ'"):
        cost.measure(run_in(country="XYZ"), datetime.now(UTC))


# ------------------------------------------------------------------------------------------------ measurement


@pytest.fixture
def clockwork(monkeypatch):
    """Timings known beforehand: a pass takes as many milliseconds as texts x tokens x neurons, the twins 1 % more."""

    def in_turns(models, batch_size, sequence_length, repeats, warm_up):
        def samples(row, model):
            each = batch_size * sequence_length * model.config.intermediate_size * (1.01 if "after" in row else 1)
            return tuple(each * (1 + turn / 10) for turn in range(repeats))

        return {row: Timing(samples(row, model), retaken=2) for row, model in models.items()}

    @contextmanager
    def tracked(country):
        energy = Energy(700.0)
        yield energy
        energy.kwh, energy.co2e_kg, energy.seconds = 3.0, 2.1, 0.5
        energy.components = {"cpu": 2.0, "gpu": 0.0, "ram": 1.0}
        energy.source = {"cpu": "measured", "gpu": "absent", "ram": "estimated"}

    monkeypatch.setattr(measurement, "time_in_turns", in_turns)
    monkeypatch.setattr(measurement, "track", tracked)


def test_every_cell_says_what_was_timed(clockwork):
    record = cost.measure(run_in(), datetime.now(UTC))
    cells = {(cell.row, cell.sequence_length, cell.batch_size): cell for cell in record.cells}
    assert set(cells) == {(row, length, size) for row in WIDTHS for length in (8, 16) for size in (1, 4)}
    assert len(cells) == len(record.cells)
    for (row, length, size), cell in cells.items():
        width, twin = WIDTHS[row], 1.01 if "after" in row else 1
        middle = size * length * width * twin * 1.1
        assert cell.outcome == "measured"
        assert cell.pruning_level == 1 - width / 64
        assert cell.parameters == closed_form(SHAPE, width) == cell.weight_bytes / 4
        assert cell.latency_ms.p50 == pytest.approx(middle)
        assert (cell.latency_ms.low, cell.latency_ms.high) == pytest.approx((middle / 1.1 * 1.05, middle / 1.1 * 1.15))
        assert cell.documents_per_second == pytest.approx(1000 * size / middle)
        assert [cell.speed_up.median, cell.speed_up.low, cell.speed_up.high] == pytest.approx([64 / width / twin] * 3)
        # Per token and layer: 4 projections, 2 FFN matrices, keys and values; two operations per multiply-add.
        work, most = (2 * 2 * (4 * 16 * 16 + 2 * 16 * ffn + 2 * length * 16) for ffn in (width, 64))
        assert (cell.flops_per_token, cell.flop_bound) == (work, most / work)
        assert cell.retaken == 2
        assert cell.peak_memory_bytes is None or torch.cuda.is_available()


def test_energy_is_that_of_the_passes_in_the_window_at_the_largest_batch(clockwork, monkeypatch):
    passes = []
    forward = BertForSequenceClassification.forward
    monkeypatch.setattr(BertForSequenceClassification, "forward", lambda self, input_ids, **rest: (
        passes.append((id(self), *input_ids.shape)), forward(self, input_ids, **rest))[1])
    record = cost.measure(run_in(sequence_lengths=[8]), datetime.now(UTC))
    assert {shape for _, *shape in map(tuple, passes) for shape in [tuple(shape)]} == {(4, 8)}
    read = [cell for cell in record.cells if cell.energy]
    assert [(cell.row, cell.batch_size) for cell in read] == [(row, 4) for row in WIDTHS]
    models = list(dict.fromkeys(model for model, *_ in passes))
    for cell, model in zip(read, models, strict=True):
        thousands = 4 * sum(passed == model for passed, *_ in passes) / 1000
        assert cell.energy.kwh_per_1000_documents == pytest.approx(3.0 / thousands)
        assert cell.energy.co2e_kg_per_1000_documents == pytest.approx(2.1 / thousands)
        assert cell.energy.components == pytest.approx({"cpu": 2 / thousands, "gpu": 0, "ram": 1 / thousands})
        assert cell.energy.source == {"cpu": "measured", "gpu": "absent", "ram": "estimated"}


def test_what_does_not_fit_is_recorded_and_the_rest_is_measured(clockwork, monkeypatch):
    fits = measurement.time_in_turns

    def in_turns(models, batch_size, sequence_length, repeats, warm_up):
        if batch_size * sequence_length > 40:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return fits(models, batch_size, sequence_length, repeats, warm_up)

    monkeypatch.setattr(measurement, "time_in_turns", in_turns)
    record = cost.measure(run_in(), datetime.now(UTC))
    assert len(record.cells) == 28
    for cell in record.cells:
        lost = (cell.sequence_length, cell.batch_size) == (16, 4)
        assert cell.outcome == ("out of memory" if lost else "measured")
        measured = (cell.latency_ms, cell.speed_up, cell.documents_per_second, cell.retaken)
        assert all((value is None) == lost for value in measured)
        # Of the batches that did fit, the largest.
        assert (cell.energy is not None) == ((cell.sequence_length, cell.batch_size) in {(8, 4), (16, 1)})
        assert cell.flop_bound >= 1


@pytest.mark.parametrize(("precision", "products"), [("fp32", "highest"), ("tf32", "high")])
def test_tf32_is_for_the_duration_of_a_tf32_measurement(clockwork, monkeypatch, precision, products):
    monkeypatch.setattr(cost, "refuse_unsupported", lambda precision: None)
    seen = []
    known = measurement.time_in_turns
    monkeypatch.setattr(measurement, "time_in_turns", lambda *given: (
        seen.append(torch.get_float32_matmul_precision()), known(*given))[1])
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        cost.measure(run_in(precision), datetime.now(UTC))
        assert set(seen) == {products}
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


# ------------------------------------------------------------------------------------------------ keys


def test_the_key_covers_what_a_measurement_depends_on(monkeypatch):
    key = cost.run_key(run_in())
    assert cost.run_key(run_in(precisions=["bf16", "fp32"])) == key
    assert cost.run_key(run_in().model_copy(update={"study": "other"})) == key
    assert cost.run_key(run_in(warm_up=1)) == key  # the default
    others = [run_in("bf16"), run_in(repeats=4), run_in(levels=[0.5]), run_in(shape=SHAPE | {"hidden_size": 32})]
    assert len({key, *map(cost.run_key, others)}) == 5
    monkeypatch.setattr(provenance, "pins", lambda: {"torch": "1.0.0"})
    assert cost.run_key(run_in()) != key


def test_a_record_is_current_while_key_settings_and_notebook_stand(clockwork, home):
    run = run_in()
    record = cost.measure(run, datetime.now(UTC))
    file = record.save()
    assert not cost.is_current(run)
    file.with_suffix(".ipynb").write_text("{}")
    assert cost.is_current(run)
    assert not cost.is_current(run_in("bf16"))
    assert cost.why_stale(record, run_in(repeats=4)) == "parameters changed: repeats"
    assert cost.why_stale(record.model_copy(update={"run_key": "0"}), run) is not None
    file.write_text(file.read_text()[:50])
    assert not cost.is_current(run)


# ------------------------------------------------------------------------------------------------ the study's track


@pytest.fixture
def executed(clockwork, home, monkeypatch) -> list[str]:
    """Precisions whose template was asked for; instead of it, the record is made here."""
    precisions = []

    def execute(run):
        precisions.append(run.precision)
        cost.measure(run, datetime.now(UTC)).save().with_suffix(".ipynb").write_text("{}")

    monkeypatch.setattr(cost_runner, "execute", execute)
    return precisions


def a_study(**settings) -> Study:
    return checked(Study, {"name": "tiny", "title": "Tiny", "runs": (), "cost": SETTINGS | settings})


def test_a_track_goes_on_where_it_was_left(executed):
    cost_runner.run(a_study(precisions=["fp32"]))
    cost_runner.run(a_study(precisions=["bf16", "fp32"]))
    cost_runner.run(a_study(precisions=["bf16", "fp32"]))
    assert executed == ["fp32", "bf16"]
    assert [record.precision for record in records.load_costs("tiny")] == ["fp32", "bf16"]
    cost_runner.run(a_study(precisions=["bf16"], repeats=4))
    assert executed == ["fp32", "bf16", "bf16"]


def test_nothing_is_run_if_one_precision_cannot_be(executed, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(LaghuError, match="tf32"):
        cost_runner.run(a_study(precisions=["fp32", "tf32"]))
    assert executed == []


def test_a_study_without_a_track(executed):
    with pytest.raises(LaghuError, match="'tiny' has no cost track"):
        cost_runner.run(Study(name="tiny", title="Tiny", runs=()))


def test_the_template_runs_from_elsewhere_and_writes_record_and_page(tmp_path):
    checkout = Checkout(tmp_path)
    content = {"title": "tiny", "seeds": [0], "common": {}, "runs": [{"technique": "baseline"}],
               "cost": SETTINGS | {"precisions": ["bf16"]}}
    (tmp_path / "studies" / "tiny.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    program = "from laghu import cost_runner, spec; cost_runner.run(spec.Study.load('tiny'))"
    ended = subprocess.run([sys.executable, "-c", program], cwd=elsewhere, env=checkout.environment,
                           capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert list(elsewhere.iterdir()) == []
    folder = tmp_path / "results" / "tiny" / "cost"
    assert sorted(file.name for file in folder.iterdir()) == ["bf16.ipynb", "bf16.json"]
    record = records.CostRecord.load(folder / "bf16.json")
    assert {cell.row: cell.parameters for cell in record.cells} == {
        row: closed_form(SHAPE, width) for row, width in WIDTHS.items()}
    read = [cell.energy for cell in record.cells if cell.energy]
    assert len(read) == 14
    for energy in read:
        assert sum(energy.components.values()) == pytest.approx(energy.kwh_per_1000_documents)
        assert energy.co2e_kg_per_1000_documents == pytest.approx(
            energy.kwh_per_1000_documents * record.grid_g_per_kwh / 1000)
    page = nbformat.read(folder / "bf16.ipynb", as_version=4)
    assert page.cells[0].source.startswith("# Cost of the paper's encoder in bf16")
    assert not any(output.output_type == "error" for cell in page.cells for output in cell.get("outputs", []))
    assert str(tmp_path) not in (folder / "bf16.ipynb").read_text(encoding="utf-8")
