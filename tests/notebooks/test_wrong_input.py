"""Wrong input through papermill: one clear line, a non-zero exit, no record, and earlier results untouched."""

import shutil

import pandas as pd
import pytest
from checkout import TINY

from laghu.corpora import LABELS

EARLIER = b"an earlier record"


@pytest.fixture(autouse=True)
def earlier_result(checkout):
    """A result of an earlier run under the very name that the wrong one would take."""
    folder = checkout.folder / "results" / "manual"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in ("pruning-50-seed0.json", "baseline-seed0.json"):
        (folder / name).write_bytes(EARLIER)


def _refused(checkout, technique: str, parameters: dict, *expected: str, **variables: str) -> None:
    before = checkout.records("manual")
    result = checkout.papermill(technique, {**parameters, "architecture": TINY["architecture"]}, **variables)
    assert result.returncode != 0
    # What papermill shows of the failed cell: our line and nothing of a traceback in our code.
    shown = [line for line in result.stderr.split("Exception encountered at")[-1].splitlines()[1:] if line.strip()]
    assert len(shown) == 1 and shown[0].startswith("LaghuError: "), result.stderr
    assert all(part in shown[0] for part in expected), shown[0]
    assert checkout.records("manual") == before


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"pruning_level": 1.5}, ("pruning_level", "1.5", "less than 1")),
        ({"pruning_level": -0.1}, ("pruning_level", "-0.1", "greater than or equal to 0")),
        ({"pruning_level": "half"}, ("pruning_level", "'half'", "number")),
        ({"prunning_level": 0.5}, ("'prunning_level'", "takes", "pruning_level")),
        ({"pruning": {"epoch": 3}}, ("'pruning.epoch'", "epochs")),
        ({"corpus": "mahanews"}, ("corpus", "'mahanews'", "'sample'")),
        ({"precision": "fp16"}, ("fp16", "CUDA")),
        ({"model": "no/such/model"}, ("'no/such/model'", "config.json")),
    ],
    ids=["too-high", "negative", "not-a-number", "misspelt", "misspelt-inside", "corpus", "fp16", "model"],
)
def test_wrong_parameter(checkout, parameters, expected):
    if parameters.get("precision") == "fp16" and __import__("torch").cuda.is_available():
        pytest.skip("this machine has a GPU, where fp16 is right")
    _refused(checkout, "pruning", parameters, *expected, HF_HUB_OFFLINE="1")


def _open_corpus(folder, **frames: pd.DataFrame) -> None:
    rows = pd.DataFrame({"text": [f"बातमी {label}" for label in LABELS], "label": LABELS})
    for stem in ("mahanews_shc_validation", "mahanews_shc_test", "mahanews_lpc_validation"):
        frames.get(stem, rows).to_parquet(folder / f"{stem}.parquet")


def test_folder_without_the_files(checkout, tmp_path):
    _refused(checkout, "baseline", {"corpus": "mahanews-open"}, "mahanews_shc_validation", str(tmp_path),
             LAGHU_DATA_DIR=str(tmp_path))


def test_folder_that_does_not_exist(checkout, tmp_path):
    _refused(checkout, "baseline", {"corpus": "mahanews-open"}, "LAGHU_DATA_DIR", "nowhere",
             LAGHU_DATA_DIR=str(tmp_path / "nowhere"))


def test_truncated_parquet(checkout, tmp_path):
    _open_corpus(tmp_path)
    file = tmp_path / "mahanews_shc_validation.parquet"
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    _refused(checkout, "baseline", {"corpus": "mahanews-open"}, "mahanews_shc_validation.parquet", "Parquet",
             LAGHU_DATA_DIR=str(tmp_path))


def test_csv_without_a_label_column(checkout, tmp_path):
    _open_corpus(tmp_path)
    (tmp_path / "mahanews_shc_validation.parquet").unlink()
    pd.DataFrame({"text": ["बातमी"], "topic": ["Auto"]}).to_csv(tmp_path / "mahanews_shc_validation.csv", index=False)
    _refused(checkout, "baseline", {"corpus": "mahanews-open"}, "mahanews_shc_validation.csv", "label", "topic",
             LAGHU_DATA_DIR=str(tmp_path))


def test_parquet_that_is_not_the_published_one(checkout, tmp_path):
    _open_corpus(tmp_path)
    _refused(checkout, "baseline", {"corpus": "mahanews-open"}, "mahanews_shc", LAGHU_DATA_DIR=str(tmp_path))


def test_pretraining_text_that_is_not_at_hand(checkout):
    _refused(checkout, "baseline", {"pretraining": {"text": "marathi-text"}}, "LAGHU_DATA_DIR")


def test_no_page_is_left_that_looks_finished(checkout):
    """The study runner works under a temporary name: a failed run leaves the earlier page as it was."""
    checkout.write_study("wrong", [{"technique": "baseline", "model": "no/such/model"}])
    page = checkout.folder / "results" / "wrong" / "baseline-seed0.ipynb"
    page.parent.mkdir(parents=True)
    page.write_bytes(EARLIER)
    result = checkout.laghu("run", "wrong", "baseline-seed0")
    assert result.returncode != 0
    assert "no/such/model" in result.stderr and result.stderr.count("\n") == 1, result.stderr
    assert page.read_bytes() == EARLIER
    assert [file.name for file in page.parent.iterdir()] == [page.name]
