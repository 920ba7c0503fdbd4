"""Invented records, for tests of the report alone: plausible in shape, true of nothing."""

import random
from datetime import UTC, datetime, timedelta

import numpy as np

from laghu.records import RunRecord, TokenRecord
from laghu.spec import RunSpec, TokenRun

_FFN = "pruning_level"
ROWS = (
    [{"technique": "classical"}, {"technique": "baseline"}, {"technique": "continued"},
     {"technique": "ensemble_distillation"}]
    + [{"technique": "pruning", _FFN: level} for level in (0.25, 0.5, 0.75)]
    + [{"technique": "pruning_distillation", _FFN: level, "distillation": how}
       for how in ("joint", "after") for level in (0.25, 0.5, 0.75)]
    + [{"technique": "mixed_precision", "precision": "bf16"},
       {"technique": "mixed_precision", "precision": "bf16", _FFN: 0.5}]
)
# As in `RunRecord.row_views`, the same for every run: 2,011 clean rows, 391 other first occurrences, 359 repeats.
ROW_VIEWS = "".join(random.Random(0).sample("2" * 2011 + "1" * 391 + "0" * 359, 2761))
SENTENCE_VIEWS = "".join("2" if place % 4 else "10"[place % 8 > 3] for place in range(60))


def fake_study(study: str = "cpu", seeds: tuple[int, ...] = (1, 2, 3)) -> list[RunRecord]:
    """One record per row and seed, in no particular order; the same at every call."""
    records = [fake_record(RunSpec(study=study, seed=seed, **row)) for row in ROWS for seed in seeds]
    random.Random(0).shuffle(records)
    return records


def fake_record(spec: RunSpec) -> RunRecord:
    rng = random.Random(f"{spec.run}")
    classical, baseline = spec.technique == "classical", spec.technique == "baseline"
    hidden, layers, ffn = 256, 4, round(1024 * (1 - spec.pruning_level))
    encoder = layers * (4 * hidden * hidden + 2 * hidden * ffn + 9 * hidden + ffn)
    embeddings = (8000 + 128 + 2 + 2) * hidden
    help_of_teacher = {"none": 0.0, "joint": 0.4, "after": 0.5}[spec.distillation]
    clean = 0.82 if classical else 0.855 - 0.03 * spec.pruning_level**2 * (1 - help_of_teacher) + rng.gauss(0, 0.003)
    flops = 2 * layers * (4 * hidden * hidden + 2 * hidden * ffn + 2 * 32 * hidden)
    bound = 2 * layers * (4 * hidden * hidden + 2 * hidden * 1024 + 2 * 32 * hidden) / flops
    speed = (1 + 0.85 * (bound - 1)) * (1.25 if spec.precision == "bf16" else 1) * rng.gauss(1, 0.01)
    per_second = (21_000 if classical else 900 * speed)
    seconds = 3.1 if classical else 100 * (1 + (0.6 if spec.distillation == "after" else 0)) * rng.gauss(1, 0.05)
    kwh = seconds * 45 / 3.6e6
    started = datetime(2026, 11, 20, 12, 0, tzinfo=UTC) + timedelta(seconds=rng.randrange(3600))
    none_if_classical = None if classical else 1
    right = _right(clean, rng.getrandbits(32))

    def views(down: float) -> dict[str, dict[str, float]]:
        shares = {view: right[[kind in kinds for kind in ROW_VIEWS]].mean() - down
                  for view, kinds in (("published", "012"), ("deduplicated", "12"), ("clean", "2"))}
        return {view: {"value": share, "low": share - 0.014, "high": share + 0.014} for view, share in shares.items()}

    return RunRecord.model_validate({
        "study": spec.study, "run": spec.run, "technique": spec.technique, "pruning_level": spec.pruning_level,
        "distilled": spec.distilled, "distillation": spec.distillation, "precision": spec.precision, "seed": spec.seed,
        "corpus": spec.corpus, "synthetic": True,
        "weight_bytes": none_if_classical and 4_000_000,
        "parameters": {"total": 1_480_332} if classical else
        {"total": embeddings + encoder + 68_876, "embeddings": embeddings, "encoder": encoder},
        "flops_per_token": none_if_classical and flops, "intermediate_size": none_if_classical and ffn,
        "accuracy": views(0), "macro_f1": views(0.02),
        "rows": {"published": 2761, "deduplicated": 2402, "clean": 2011},
        "mcnemar": None if baseline or classical else
        {"against": f"baseline-seed{spec.seed}", "only_baseline_right": 61, "only_run_right": 43,
         "p_value": rng.random()},
        "agreement": None if baseline or classical else 0.93 + 0.01 * rng.random(),
        "latency_ms": {"p50": 0.4 if classical else 3 / speed, "p95": 0.5 if classical else 4 / speed},
        "documents_per_second": per_second,
        "speed_up": None if classical else {"median": 1.0 if baseline else speed, "low": 0.97 * speed,
                                            "high": 1.03 * speed},
        "timing": {"engine": "invented", "precision": spec.precision, "sequence_length": 32,
                   "throughput_batch_size": 32, "repeats": 20, "retaken": 0, "threads": 2,
                   "fp32_products": "highest"},
        "peak_memory_bytes": 900 * 2**20, "peak_memory_source": "invented",
        "energy_kwh": kwh, "co2e_kg": kwh * 0.7134,
        "energy_components": {"cpu": 0.4 * kwh, "gpu": 0.0, "ram": 0.6 * kwh},
        "energy_source": {"cpu": "estimated", "gpu": "absent", "ram": "estimated"}, "grid_g_per_kwh": 713.4,
        "inference_energy": None if classical else
        {"kwh_per_1000_documents": 45 * 1000 / per_second / 3.6e6,
         "co2e_kg_per_1000_documents": 0.7134 * 45 * 1000 / per_second / 3.6e6, "components": {}, "source": {},
         "window_seconds": 2.0},
        "train_seconds": seconds, "stages": [], "surgery_error": 1.2e-6 if spec.technique == "pruning" else None,
        "hardware": {"cpu": "Invented CPU", "logical_cores": 2, "threads": 2, "ram_gib": 7.8, "gpu": None,
                     "gpu_memory_gib": None, "platform": "Linux x86_64"},
        "versions": {"torch": "0.0.0", "transformers": "0.0.0"},
        "commit": "0123456789abcdef0123456789abcdef01234567", "data_sha256": ("cd" if classical else "ab") * 32,
        "run_key": f"{rng.getrandbits(256):064x}",
        "settings": spec.model_dump(mode="json"), "started": started,
        "finished": started + timedelta(seconds=seconds + 20),
        "predictions": [rng.randrange(12) for _ in range(2761)],
        "right": "".join(map(str, right.astype(int))), "row_views": ROW_VIEWS,
    })


def _right(clean: float, seed: int) -> np.ndarray:
    """Which test rows are right, of which that share of the clean ones: what is hard for one run is hard for all."""
    kind = np.array(list(ROW_VIEWS)).astype(int)
    difficulty = np.random.default_rng(0).normal(size=len(kind)) + 0.3 * kind
    met = difficulty + np.random.default_rng(seed).normal(scale=0.25, size=len(kind))
    return met <= np.quantile(met[kind == 2], clean)


def fake_token_record(run: TokenRun, task: str = "ner", **changes) -> TokenRecord:
    """A record of sixty test sentences, for either task; `changes` replace fields."""
    rng = np.random.default_rng([round(100 * run.pruning_level), run.distillation == "joint", run.seed])
    speed_up = dict.fromkeys(("median", "low", "high"), 1 + 0.8 * run.pruning_level)
    true = np.random.default_rng(0).integers(1, 5, size=60)
    right = rng.binomial(true, 0.9 - 0.3 * bool(run.pruning_level))
    level = 0.8 - 0.1 * bool(run.pruning_level) + 0.01 * run.seed
    names = ("f1", "precision", "recall", "strict_f1", "strict_precision", "strict_recall")
    names = names if task == "ner" else ("accuracy", "macro_f1")
    now = datetime(2026, 11, 21, tzinfo=UTC)
    energy = {"components": {}, "source": {}, "window_seconds": 2.0, "kwh_per_1000_documents": 1e-4,
              "co2e_kg_per_1000_documents": 1e-5}
    return TokenRecord.model_validate({
        "study": run.study, "run": run.run, "corpus": run.corpus, "task": task, "synthetic": True,
        "pruning_level": run.pruning_level, "distillation": run.distillation, "seed": run.seed,
        "parameters": {"total": 1_000_000 - 200_000 * bool(run.pruning_level), "embeddings": 1, "encoder": 2},
        "weight_bytes": 4_000_000, "flops_per_token": 3000 - 1000 * bool(run.pruning_level), "intermediate_size": 64,
        "scores": {name: _views(level - 0.02 * place) for place, name in enumerate(names)},
        "kinds": {"NEL": {"right": 30 + run.seed, "true": 50, "predicted": 40}, "NEO": {"right": 1, "true": 2,
                  "predicted": 4}, "NEP": {"right": 60, "true": 70, "predicted": 90 + run.seed},
                  "NETI": {"right": 0, "true": 0, "predicted": 3}},
        "sentences": {"published": 60, "deduplicated": 53, "clean": 45},
        "words": {"published": 700, "deduplicated": 600, "clean": 512},
        "unread_words": {"published": 9, "deduplicated": 8, "clean": 7},
        "agreement": 0.93 if run.pruning_level else None, "latency_ms": {"p50": 2.0, "p95": 3.0},
        "documents_per_second": 400.0, "speed_up": speed_up,
        "timing": {"engine": "invented", "precision": "fp32", "sequence_length": 32, "throughput_batch_size": 32,
                   "repeats": 3, "retaken": 0, "threads": 1, "fp32_products": "highest"},
        "peak_memory_bytes": 1, "peak_memory_source": "invented", "energy_kwh": 0.001 * run.seed, "co2e_kg": 0.0001,
        "energy_components": {}, "energy_source": {}, "grid_g_per_kwh": 700.0, "inference_energy": energy,
        "train_seconds": 60.0 * run.seed, "stages": [], "surgery_error": 1e-6 if run.pruning_level else None,
        "hardware": {"cpu": "Invented CPU", "threads": 1, "gpu": None}, "versions": {}, "commit": "0123456789",
        "data_sha256": "0", "run_key": "0", "settings": {}, "started": now, "finished": now,
        "right": right.tolist(), "true": true.tolist(), "predicted": (right + rng.integers(0, 2, size=60)).tolist(),
        "sentence_views": SENTENCE_VIEWS, **changes,
    })


def _estimate(value: float) -> dict:
    return {"value": value, "low": value - 0.05, "high": value + 0.04}


def _views(value: float) -> dict:
    return {view: _estimate(value + step) for view, step in
            (("published", 0.02), ("deduplicated", 0.01), ("clean", 0.0))}
