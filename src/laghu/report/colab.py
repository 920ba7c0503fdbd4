"""Where a published notebook opens in Colab, and what a reader has to run there before it.

The repository's address has one place, `repository` in `_config.yml`. GitHub Actions, which publishes the book, knows
its own better: a fork's buttons lead to the fork.
"""

import os
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

_COLAB = "https://colab.research.google.com/github"


def repository(options: Mapping[str, str]) -> str:
    """The repository's address, without a slash at its end.

    Args:
        options: of the book's theme, into which Jupyter Book writes `repository` of `_config.yml`.
    """
    if own := os.environ.get("GITHUB_REPOSITORY"):
        return f"https://github.com/{own}"
    return options.get("repository_url", "").rstrip("/")


def address(repository: str, branch: str, file: str) -> str:
    """Of a notebook in Colab by its path in the repository; empty for a repository that Colab can't open."""
    parts = urlsplit(repository)
    if parts.hostname != "github.com":
        return ""
    return f"{_COLAB}{parts.path}/blob/{quote(branch)}/{quote(file)}"


def preparation(repository: str) -> str:
    """A first cell: what installs the notebook's code from the repository."""
    return f"!git clone --quiet --depth 1 {repository} laghu\n%pip install --quiet --editable ./laghu"
