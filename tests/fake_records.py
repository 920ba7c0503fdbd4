"""Invented records, for tests of the report alone: plausible in shape, true of nothing."""

import random
from datetime import UTC, datetime, timedelta

import numpy as np

from laghu.records import RunRecord
from laghu.spec import RunSpec

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
        "settings": spec.model_dump(), "started": started, "finished": started + timedelta(seconds=seconds + 20),
        "predictions": [rng.randrange(12) for _ in range(2761)],
        "right": "".join(map(str, right.astype(int))), "row_views": ROW_VIEWS,
    })


def _right(clean: float, seed: int) -> np.ndarray:
    """Which test rows are right, of which that share of the clean ones: what is hard for one run is hard for all."""
    kind = np.array(list(ROW_VIEWS)).astype(int)
    difficulty = np.random.default_rng(0).normal(size=len(kind)) + 0.3 * kind
    met = difficulty + np.random.default_rng(seed).normal(scale=0.25, size=len(kind))
    return met <= np.quantile(met[kind == 2], clean)
