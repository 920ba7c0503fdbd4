"""`make fuzz-guided`: inputs that lead into code not reached before, for the readers of records, studies and corpora.

atheris watches Python's branches while it changes the inputs, and ends the process at the first error that is not ours.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from random import Random

READERS = ("run records", "studies", "CSV tables")


def main() -> None:
    for name in READERS:
        with tempfile.TemporaryDirectory() as corpus:
            command = [sys.executable, "-m", "fuzz.guided", "--one", name, corpus, f"-runs={sys.argv[1]}"]
            done = subprocess.run(command, check=False)
        print(f"{name}: {int(sys.argv[1]):,} inputs, exit status {done.returncode}", flush=True)
        if done.returncode:
            sys.exit(done.returncode)


def one(name: str, corpus: Path, options: list[str]) -> None:
    """In a process of its own, as atheris ends it."""
    import atheris

    with atheris.instrument_imports(include=["laghu.records", "laghu.spec", "laghu.corpora", "yaml"]):
        from fuzz.targets import TARGETS

        from laghu.errors import LaghuError

    for number in range(20):
        (corpus / str(number)).write_bytes(TARGETS[name].produce(Random(number)))

    def read(content: bytes) -> None:
        try:
            TARGETS[name].read(content)
        except LaghuError:
            return

    atheris.Setup([sys.argv[0], *options, str(corpus)], read)
    atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1] == "--one":
        one(sys.argv[2], Path(sys.argv[3]), sys.argv[4:])
    else:
        main()
