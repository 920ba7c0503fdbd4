# A study as a graph of notebooks: backbone -> baseline of each seed -> everything else of that seed -> book.
#
# What is out of date is decided by keys (laghu.freshness), not by file times: a run's stamp stands exactly while its
# record and notebook are what its template, parameters, code and data would give. Snakemake brings the order, the
# side-by-side and the cluster.

from laghu import freshness, paths, provenance
from laghu.spec import Study

STUDY = Study.load(config["study"])
RUNS = {spec.run: spec for spec in STUDY.runs}
STAMPS = paths.root() / ".cache" / "stamps" / STUDY.name

for run, spec in RUNS.items():
    stamp = STAMPS / run
    if freshness.is_current(spec):
        stamp.parent.mkdir(parents=True, exist_ok=True)
        stamp.touch()
    else:
        stamp.unlink(missing_ok=True)


def before(wildcards):
    """Stamps a run waits for: the backbone, and the baseline of its seed."""
    spec = RUNS[wildcards.run]
    if spec.technique == "classical":
        return []
    if spec.technique != "baseline":
        return ancient(str(STAMPS / f"baseline-seed{spec.seed}"))
    return [] if spec.model else ancient(str(backbone_stamp(spec)))


def backbone_stamp(spec):
    settings = spec.model_dump(include={"architecture", "pretraining"})
    return STAMPS / f"backbone-{provenance.digest(settings, provenance.code_digest(['backbones']))[:16]}"


localrules: study


rule study:
    input: [str(STAMPS / run) for run in RUNS]


# The one step that has nothing beside it, and so all cores.
rule backbone:
    output: touch(str(STAMPS / "backbone-{key}"))
    threads: workflow.cores
    shell: "OMP_NUM_THREADS={threads} laghu backbone " + STUDY.name


# One rule a seed, only because a priority can't be computed: the earlier seed first, so that an early stop leaves whole
# seeds behind.
for seed in sorted({spec.seed for spec in STUDY.runs}):
    rule:
        name: f"seed{seed}"
        input: before
        output: touch(str(STAMPS / "{run}"))
        wildcard_constraints: run="|".join(run for run, spec in RUNS.items() if spec.seed == seed)
        threads: 1
        priority: -seed
        shell: "OMP_NUM_THREADS={threads} laghu run " + STUDY.name + " {wildcards.run}"
