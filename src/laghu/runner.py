"""Runs notebooks: one run with papermill, or a whole study with snakemake."""

import base64
import fcntl
import io
import logging
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import nbformat
import papermill
from nbformat import NotebookNode
from PIL import Image

from laghu import durable, freshness, paths, token_freshness
from laghu.errors import LaghuError
from laghu.records import RunRecord
from laghu.report.rows import Row, row_of
from laghu.spec import RunSpec, Study

_SECONDS_BETWEEN_LINES = 10.0
_DIED = "Kernel died"


def title(spec: RunSpec) -> str:
    """Heading of an executed notebook, e.g. "Pruning 50 %, distilled after (seed 1)"."""
    return f"{Row.parse(row_of(spec.run)).label} (seed {spec.seed})"


def execute(spec: RunSpec) -> Path:
    """Execute the run's template into `results/<study>/<run>.ipynb`; the notebook itself writes the record.

    Raises:
        papermill.PapermillExecutionError: a cell failed.
    """
    target = paths.results(spec.study) / f"{spec.run}.ipynb"
    return execute_template(spec.technique, title(spec), parameters(spec), target)


def parameters(spec: RunSpec) -> dict[str, Any]:
    """What a template is told: what the study says of the run, in the types of JSON. papermill takes no others."""
    return spec.model_dump(mode="json", exclude_unset=True, exclude={"technique"})


def execute_template(name: str, heading: str, parameters: dict[str, Any], target: Path) -> Path:
    """Execute a template under a heading of its own into the file `target`, which it returns.

    It works under a temporary name, so that a run that failed leaves an earlier notebook as it was: but for one that
    failed after its record was saved, and then that notebook was not the record's any more (`records.Stored.save`).

    Raises:
        papermill.PapermillExecutionError: a cell failed.
        LaghuError: the notebook's process was killed, or the notebook can't be written.
    """
    template = nbformat.read(str(paths.templates() / f"{name}.ipynb"), as_version=4)
    _retitle(template, heading)
    with tempfile.TemporaryDirectory() as scratch:
        prepared, executed = Path(scratch) / "template.ipynb", Path(scratch) / "executed.ipynb"
        nbformat.write(template, str(prepared))
        # A template shows the parameters that concern it and takes all; papermill would warn of each of the others.
        logging.getLogger("papermill").setLevel(logging.ERROR)
        try:
            _papermill(prepared, executed, parameters)
        except RuntimeError as error:  # nbclient and jupyter_client tell of the same with two types
            if _DIED not in str(error):
                raise
            raise LaghuError(f"{target.stem}: its process was killed, by lack of memory perhaps; call again, with "
                             "fewer runs side by side (--cores 1) if so") from None
        notebook = nbformat.read(str(executed), as_version=4)
    _strip(notebook)
    try:
        with durable.replacing(target) as part:
            nbformat.write(notebook, str(part))
    except OSError as error:
        raise LaghuError(f"notebook {target.name} can't be written to {target.parent}: {error.strerror}") from error
    return target


def execute_with_progress(study: Study, spec: RunSpec) -> None:
    """`execute`, with a line in the terminal now and then: runs done, and how far this one's training has come."""
    done = sum(freshness.is_current(other) for other in study.runs)
    head = f"[{study.name} {done}/{len(study.runs)} done] {spec.run}"
    print(f"{head}: started", flush=True)
    began = monotonic()
    with watched(head):
        execute(spec)
    record = RunRecord.load(paths.results(study.name) / f"{spec.run}.json")
    seconds = monotonic() - began
    accuracy = record.accuracy.clean.value
    print(f"[{study.name}] {spec.run}: finished in {seconds:.0f} s, clean accuracy {accuracy:.1%}", flush=True)


def run_study(name: str, extra: list[str]) -> None:
    """Bring a study up to date with snakemake, its token classifiers after all else.

    Args:
        extra: further arguments for snakemake, such as `--profile profiles/slurm`.

    Raises:
        LaghuError: a mistake in the study file, a corpus that can't be had, a run that failed, or another process at
            work on this study.
    """
    study = Study.load(name)  # what is wrong with it is one line here, and a traceback in snakemake
    for spec in study.runs:
        freshness.data_sha256(spec)
    for run in study.tokens:
        token_freshness.data_sha256(run)
    with only_one(name) as lock:
        command = [
            sys.executable, "-m", "snakemake", "study", "--snakefile", str(paths.root() / "Snakefile"),
            "--directory", str(paths.root()), "--config", f"study={name}",
            # Keys decide what is out of date, and the lock above who may work: snakemake's own would outlive a SIGKILL.
            "--rerun-triggers", "mtime", "--rerun-incomplete", "--nolock", "--keep-going", "--quiet", "all", *extra,
        ]
        if not any(argument.startswith(("--cores", "-c", "-j", "--jobs", "--profile")) for argument in extra):
            command += ["--cores", "all"]
        # The jobs call `laghu`: that of this environment, whether or not it is activated.
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        # Snakemake inherits the lock, and so keeps it if this process is killed and it is not.
        ended = subprocess.run(command, check=False, env=os.environ | {"PATH": path}, pass_fds=[lock])
        if ended.returncode:
            raise LaghuError(f"study {name!r} did not finish; the run that failed says why above. Call again to go on")


@contextmanager
def only_one(study: str) -> Iterator[int]:
    """Hold the study's lock; gives its file descriptor.

    Raises:
        LaghuError: another process holds it, or the folder of results can't be written to.
    """
    folder = paths.results(study)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = (folder / ".lock").open("w")
    except OSError as error:
        raise LaghuError(f"results of study {study!r} can't be written to {folder}: {error.strerror}") from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LaghuError(f"another process is at work on study {study!r}; wait for it or stop it") from None
        yield handle.fileno()


@contextmanager
def watched(head: str) -> Iterator[None]:
    """Print how far a training in this run's notebook has come, every few seconds, and notices (`laghu.notices`)."""
    finished = threading.Event()
    with tempfile.TemporaryDirectory() as scratch:
        progress, notices = Path(scratch) / "progress", Path(scratch) / "notices"
        notices.touch()
        os.environ |= {"LAGHU_PROGRESS": str(progress), "LAGHU_NOTICES": str(notices)}

        def watch() -> None:
            last = ""
            with notices.open(encoding="utf-8") as news:
                over = False
                while not over:
                    over = finished.wait(_SECONDS_BETWEEN_LINES)
                    for notice in news:
                        print(f"{head}: {notice.rstrip()}", flush=True)
                    line = progress.read_text(encoding="utf-8") if progress.exists() and not over else last
                    if line and line != last:  # it may be read while it is being written
                        print(f"{head}: {line}", flush=True)
                        last = line

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            finished.set()
            watcher.join()
            del os.environ["LAGHU_PROGRESS"], os.environ["LAGHU_NOTICES"]


def _papermill(prepared: Path, executed: Path, parameters: dict[str, Any]) -> None:
    """Execute a notebook, once more where its kernel does not come up.

    Jupyter looks for free ports and lets go of them before the kernel takes them: where many start at once, another may
    be there first. Nothing has been done by then.
    """
    for last in (False, True):
        try:
            papermill.execute_notebook(
                str(prepared), str(executed), parameters=parameters, progress_bar=False,
                extra_arguments=["--IPKernelApp.log_level=CRITICAL"],
            )
            return
        except RuntimeError as error:
            if last or f"{_DIED} before replying" not in str(error):
                raise


def _retitle(notebook: NotebookNode, heading: str) -> None:
    first = notebook.cells[0]
    first.source = "\n".join([f"# {heading}", *first.source.splitlines()[1:]])


def _strip(notebook: NotebookNode) -> None:
    """Drop what papermill notes about times and paths of this machine, and most of the bytes of its figures."""
    notebook.metadata.pop("papermill", None)
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        if "outputs" in cell:
            # tqdm asks for widgets when it is imported, and names a path of this machine.
            cell.outputs = [output for output in cell.outputs if "TqdmWarning" not in output.get("text", "")]
        for output in cell.get("outputs", []):
            if png := output.get("data", {}).get("image/png"):
                output["data"]["image/png"] = _with_palette(png)


def _with_palette(png: str) -> str:
    """An opaque PNG image (base64) in 256 colours, which flat figures hardly exceed, at a third of the size."""
    image = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    buffer = io.BytesIO()
    image.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()
