"""A line for whoever gave the command, from wherever it comes up: a notebook runs in another process than its command.

It is no part of the notebook, which will be published: what was mended on one machine is no news to its readers.
"""

import os
import sys
from pathlib import Path


def say(line: str) -> None:
    """Print a line on stderr; where `LAGHU_NOTICES` names a file, it goes there, for a terminal that reads along."""
    if file := os.environ.get("LAGHU_NOTICES"):
        with Path(file).open("a", encoding="utf-8") as handle:
            handle.write(f"{line}\n")
    else:
        print(line, file=sys.stderr, flush=True)
