"""A benchmark put together by hand."""

from datetime import UTC, datetime

from laghu.benchmark.record import (
    BenchmarkRecord,
    Contender,
    Energy,
    Growth,
    PrunedShape,
    Quartiles,
    Tokenising,
)

SOURCE = {"cpu": "estimated", "gpu": "absent", "ram": "estimated"}


def views(clean: float) -> dict[str, float]:
    return {"published": clean - 0.2, "deduplicated": clean - 0.1, "clean": clean}


def contender(name: str, speed: float, before: float | None = None, **fields) -> Contender:
    """A step of the path; the reference labels 200 documents a second."""
    return Contender(**{
        "name": name, "kind": "path", "step": f"step {name}", "run": "baseline", "engine": "ONNX Runtime",
        "precision": "fp32", "documents_per_second": Quartiles.of((speed, 0.9 * speed, 1.1 * speed)),
        "ratio": Quartiles.of((speed / 200, speed / 250, speed / 180)),
        "factor": before and Quartiles.of((speed / before, 0.9 * speed / before, 1.1 * speed / before)),
        "bound": before and 2.5, "bound_by": "operations" if before else None, "operations_per_document": 1e6,
        "accuracy": views(0.8), "size_mb": 8.0,
        "energy": Energy(kwh=1e-3 / speed, source=SOURCE, window_seconds=10.0), **fields,
    })


def benchmark(**fields) -> BenchmarkRecord:
    now = datetime(2026, 11, 21, tzinfo=UTC)
    return BenchmarkRecord(**{
        "study": "quick", "corpus": "sample", "synthetic": True, "seed": 0, "headlines": 240, "turns": 3,
        "contenders": [
            contender("pipeline", 200), contender("engine", 500, 200), contender("last", 400, 500, size_mb=2.0),
            contender("TF-IDF", 9000, kind="alternative", energy=None, size_mb=None),
            contender("untrained", 10, kind="peer", energy=None, accuracy=None, run=None),
        ],
        "accuracy_of_seeds": {seed: {"reference": views(teacher), "last": views(last)}
                              for seed, teacher, last in (("1", 0.8, 0.79), ("2", 0.78, 0.81))},
        "latency_ms": {"p50": 0.25, "p95": 0.5},
        "tokenising": Tokenising(library_threads=40, chunks=35, prepared=15),
        "growth": [Growth(documents=size, threads=threads, seconds=size / 1e4 / threads,
                          documents_per_second=1e4 * threads, memory_mb=12.0)
                   for threads in (1, 2) for size in (1_000, 1_000_000)],
        "pruned_shapes": [PrunedShape(engine="ONNX Runtime, fp32", shape="small", pruning_level=0.75, batch_size=32,
                                      sequence_length=128, speed_up=Quartiles.of((1.8, 1.7, 1.9)), bound=1.9)],
        "settings": {}, "grid_g_per_kwh": 700.0,
        "hardware": {"cpu": "AMD EPYC", "threads": 2, "gpu": None}, "versions": {"torch": "2"}, "commit": "a" * 40,
        "data_sha256": "b" * 64, "started": now, "finished": now, **fields,
    })
