# A study as a graph of notebooks: backbone -> baseline of each seed -> everything else of that seed; and so again for the
# classifiers of words on each corpus.
#
# What is out of date is decided by keys (laghu.freshness), not by file times: a run's stamp stands exactly while its
# record and notebook are what its template, parameters, code and data would give. Snakemake brings the order, the
# side-by-side and the cluster.

from laghu import freshness, paths, token_freshness
from laghu.spec import Study

STUDY = Study.load(config["study"])
RUNS = {spec.run: spec for spec in STUDY.runs}
TOKENS = {run.run: run for run in STUDY.tokens}
STAMPS = paths.root() / ".cache" / "stamps" / STUDY.name

CURRENT = {name for name, spec in RUNS.items() if freshness.is_current(spec)}
CURRENT |= {name for name, run in TOKENS.items() if token_freshness.is_current(run)}
if workflow.is_main_process:  # a job on a cluster reads this file again
    STAMPS.mkdir(parents=True, exist_ok=True)
    for stamp in STAMPS.iterdir():
        stamp.unlink()
    for run in CURRENT:
        (STAMPS / run).touch()


def stamps(run, *earlier):
    """Stamps that a run waits for: the backbone, and the runs of this study whose models it takes further."""
    if run.run in CURRENT:
        return []
    names = [] if run.model else ["backbone"]
    names += [name for name in earlier if name != run.run and name in {*RUNS, *TOKENS}]
    return [ancient(str(STAMPS / name)) for name in names]


def before(wildcards):
    spec = RUNS[wildcards.run]
    if spec.technique == "classical":
        return []
    return stamps(spec, f"baseline-seed{spec.seed}", spec.unquantized.run)


def before_tokens(wildcards):
    run = TOKENS[wildcards.run]
    return stamps(run, f"{run.corpus}-baseline-seed{run.seed}")


def gpus(wildcards, resources):
    return resources.get("gpu", 0)


def on_gpus(wildcards, resources):
    """What a command begins with where the profile gives it GPUs: which ones, is decided when it starts."""
    count = gpus(wildcards, resources)
    return f"python -m laghu.devices {count}" if count else ""


localrules: study


rule study:
    input: [str(STAMPS / run) for run in (*RUNS, *TOKENS)]


# The one step that has nothing beside it, and so all cores. It is asked for whenever an encoder is to be run, and costs
# seconds where the backbone is there: a checkpoint may have been deleted since.
rule backbone:
    output: touch(str(STAMPS / "backbone"))
    threads: workflow.cores
    params: on=on_gpus, processes=lambda wildcards, resources: max(1, gpus(wildcards, resources))
    shell: "OMP_NUM_THREADS={threads} {params.on} laghu backbone " + STUDY.name + " --processes {params.processes}"


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
        params: on=on_gpus
        shell: "OMP_NUM_THREADS={threads} {params.on} laghu run " + STUDY.name + " {wildcards.run}"


# When nothing else is left to start.
if TOKENS:
    rule tokens:
        input: before_tokens
        output: touch(str(STAMPS / "{run}"))
        wildcard_constraints: run="|".join(TOKENS)
        threads: 1
        priority: -1 - max(run.seed for run in (*STUDY.runs, *STUDY.tokens))
        params: on=on_gpus
        shell: "OMP_NUM_THREADS={threads} {params.on} laghu run " + STUDY.name + " {wildcards.run}"
