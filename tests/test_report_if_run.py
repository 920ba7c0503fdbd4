"""What a page says of a study before and after it has been run."""

import pytest
from fake_records import fake_record
from sphinx_pages import render

from laghu import paths
from laghu.spec import Study

PAGE = """# Page

```{if-run} cpu
It is **there**.
```

```{if-not-run} cpu
It is *to come*.
```
"""


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "results", lambda study: tmp_path / "results" / study)
    return tmp_path


def page(folder, text=PAGE):
    return render(folder, text, "laghu.report.if_run_ext")


def test_before_and_after(results):
    before, warnings = page(results)
    assert not warnings and "to come" in before and "there" not in before
    fake_record(Study.load("cpu").runs[0]).save()
    after, warnings = page(results)
    assert not warnings and "<strong>there</strong>" in after and "to come" not in after


def test_a_study_that_is_none_is_a_warning(results):
    _, warnings = page(results, "# Page\n\n```{if-run} nosuch\nText.\n```\n")
    assert "if-run nosuch: no study 'nosuch'" in warnings
