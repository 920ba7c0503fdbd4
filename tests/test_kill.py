"""A handful of kills; `make kill-test KILLS=200` makes as many as one wants."""

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parent


def test_a_few_kills_lose_nothing(tmp_path):
    """In a process of its own, which forks and must have no threads of pytest's."""
    tally = tmp_path / "tally.json"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path]), "TMPDIR": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, "-m", "kill", "--kills", "5", "--cold", "0", "--workers", "1", "--json", str(tally)],
        env=environment, capture_output=True, text=True, check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "finished results lost" in ended.stdout and tally.is_file()
    assert [path.name for path in tmp_path.iterdir()] == [tally.name]
