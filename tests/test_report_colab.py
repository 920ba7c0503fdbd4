import pytest
import yaml

from laghu import paths
from laghu.report import colab


def test_the_address_is_the_setting_s_and_on_github_actions_its_own(monkeypatch):
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    options = {"repository_url": "https://github.com/someone/laghu/"}
    assert colab.repository(options) == "https://github.com/someone/laghu"
    assert colab.repository({}) == ""
    monkeypatch.setenv("GITHUB_REPOSITORY", "a-fork/laghu")
    assert colab.repository(options) == "https://github.com/a-fork/laghu"


def test_colab_opens_a_file_of_a_branch():
    opened = colab.address("https://github.com/someone/laghu", "main", "results/cpu/cost/fp 32.ipynb")
    assert opened == "https://colab.research.google.com/github/someone/laghu/blob/main/results/cpu/cost/fp%2032.ipynb"


@pytest.mark.parametrize("repository", ["", "https://example.org/someone/laghu", "https://github.com.example/a/b"])
def test_colab_opens_no_other_host(repository):
    assert colab.address(repository, "main", "results/cpu/baseline-seed1.ipynb") == ""


def test_the_first_cell_fetches_the_repository_that_the_button_leads_to():
    clone, install = colab.preparation("https://github.com/someone/laghu").splitlines()
    assert clone.startswith("!git clone ") and clone.endswith(" https://github.com/someone/laghu laghu")
    assert install == "%pip install --quiet --editable ./laghu"


def test_the_setting_is_the_only_place_that_names_the_repository():
    config = (paths.root() / "_config.yml").read_text(encoding="utf-8")
    address = yaml.safe_load(config)["repository"]["url"]
    assert config.count(address) == 1
    files = [*(paths.root() / "src").rglob("*.py"), *(paths.root() / "book").glob("*.md"), *paths.root().glob("*.md")]
    assert not [file.name for file in files if address in file.read_text(encoding="utf-8")]
