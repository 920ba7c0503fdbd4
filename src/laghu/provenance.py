"""Where a number comes from: keys that change when, and only when, something a result depends on changes.

A key covers the code that makes numbers, the parameters, the data and the pinned versions. It does not cover comments,
docstrings and prose, nor the modules that only carry numbers around (`CARRIERS`), so that a better error message
does not make a published study stale.

A change of code that makes no number another, such as one for models that no published study holds, may be declared so
(`laghu.equality`, with runs that were made again as evidence). Then a key of the code as it was before is good, too;
what is made from now on has the key of the code as it is.
"""

import ast
import hashlib
import io
import json
import re
import subprocess
import tokenize
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import nbformat

from laghu import paths

# Modules that move, show or store what others compute. `spec` and the modules of texts are among them because what they
# give, values and texts with their flags, enters every key itself.
CARRIERS = frozenset(
    {
        "cli", "corpora", "equality", "errors", "freshness", "lexicons", "paths", "progress", "provenance", "quiet",
        "records", "report", "runner", "sample", "spec", "stages", "texts", "token_corpora", "token_freshness",
    }
)
_PACKAGE = Path(__file__).parent


def digest(*parts: Any) -> str:
    """sha256 (hex) of the parts as canonical JSON."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def stripped(source: str) -> str:
    """Python source as its logical lines: no comments, docstrings or blank lines, no trace of how it was wrapped."""
    lines: list[str] = []
    tokens: list[str] = []
    depth = 0
    for token in _whole_strings(source):
        if token.type in (tokenize.INDENT, tokenize.DEDENT):
            depth += 1 if token.type == tokenize.INDENT else -1
        elif token.type == tokenize.NEWLINE:
            if not (len(tokens) == 1 and tokens[0][-1] in "\"'"):  # a string on its own is a docstring
                lines.append("    " * depth + " ".join(tokens))
            tokens = []
        elif token.type not in (tokenize.COMMENT, tokenize.NL, tokenize.ENDMARKER):
            tokens.append(token.string)
    return "\n".join(lines)


def _whole_strings(source: str) -> Iterator[tokenize.TokenInfo]:
    """Tokens of the source, with an f-string as one token: Python 3.12 and later cut it into several."""
    starts: list[tuple[int, int]] = []
    rows = source.splitlines(keepends=True)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        kind = tokenize.tok_name[token.type]
        if kind == "FSTRING_START":
            starts.append(token.start)
        elif kind == "FSTRING_END":
            (row, column), (last, end) = starts.pop(), token.end
            text = "".join(rows[row - 1 : last])[column : len("".join(rows[row - 1 : last - 1])) + end]
            if not starts:
                yield token._replace(type=tokenize.STRING, string=text)
        elif not starts:
            yield token


def imported(source: str) -> set[str]:
    """Names of the laghu modules that a piece of source imports, e.g. `compression.movement`."""
    return {name for name in _imported_names(source) if _module_file(name).is_file()}


@cache
def _imported_names(source: str) -> frozenset[str]:
    """What may be a module of laghu, or a name in one."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(name.removeprefix("laghu.") for name in names if name.startswith("laghu."))


def reachable(modules: Iterable[str], earlier: Mapping[str, str] | None = None) -> list[str]:
    """The given laghu modules and all that they import, directly or not, without `CARRIERS`; sorted.

    Args:
        earlier: modules to sources that take the place of their own.
    """
    found: set[str] = set()
    waiting = set(modules)
    while waiting:
        name = waiting.pop()
        if name in found or name.split(".")[0] in CARRIERS:
            continue
        found.add(name)
        waiting |= imported((earlier or {}).get(name) or _module_file(name).read_text(encoding="utf-8"))
    return sorted(found)


def code_digest(modules: Iterable[str]) -> str:
    """Digest of the code that the given laghu modules can reach."""
    return _code_digest(modules, {})


def code_digests(modules: Iterable[str]) -> list[str]:
    """`code_digest`, and then that of the same code before each change that is declared to alter no number."""
    modules = list(modules)
    return list(dict.fromkeys(_code_digest(modules, earlier) for earlier in ({}, *_earlier_sources())))


def _code_digest(modules: Iterable[str], earlier: Mapping[str, str]) -> str:
    return digest({
        name: stripped(earlier[name]) if name in earlier else _stripped_module(name)
        for name in reachable(modules, earlier)
    })


@cache
def _earlier_sources() -> list[dict[str, str]]:
    """For each declaration that holds, its modules' sources before the change.

    It holds while its modules are what they were when it was made.
    """
    found = []
    for file in sorted(paths.earlier_code().glob("[!.]*/equal.json")):
        now = json.loads(file.read_text(encoding="utf-8"))["modules"]
        if all(_module_file(name).is_file() and module_digest(name) == then for name, then in now.items()):
            sources = {name: file.with_name(f"{name}.py") for name in now}
            found.append({name: each.read_text(encoding="utf-8") for name, each in sources.items() if each.is_file()})
    return found


def module_digest(name: str) -> str:
    """Digest of the code of one laghu module, without what it imports."""
    return digest(_stripped_module(name))


def source_digest(source: str) -> str:
    """`module_digest` of a module of that source."""
    return digest(stripped(source))


def template_code(template: Path) -> str:
    """The code cells of a notebook, its prose left out."""
    notebook = nbformat.read(template, as_version=4)
    return "\n".join(stripped(cell.source) for cell in notebook.cells if cell.cell_type == "code")


def run_key(technique: str, parameters: dict[str, Any], data_sha256: str) -> str:
    """Key of a run: template, parameters, reachable code, data and pinned versions.

    Args:
        parameters: those that differ from the defaults, so that a new parameter leaves old keys as they are.
    """
    return run_keys(technique, parameters, data_sha256)[0]


def run_keys(technique: str, parameters: dict[str, Any], data_sha256: str) -> list[str]:
    """`run_key`, and after it the keys of the same run before changes that are declared to alter no number."""
    code = template_code(paths.templates() / f"{technique}.ipynb")
    return [digest(code, parameters, reached, data_sha256, pins()) for reached in code_digests(imported(code))]


@cache
def pins() -> dict[str, str]:
    """Locked versions of the packages that the project names as dependencies."""
    project = tomllib.loads((paths.root() / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = {_normal(re.split(r"[<>=!~\[; ]", line)[0]) for line in project["project"]["dependencies"]}
    lock = (paths.root() / "requirements.lock").read_text(encoding="utf-8")
    locked = dict(line.split("==") for line in lock.splitlines() if "==" in line and not line.startswith("#"))
    return {_normal(name): version for name, version in locked.items() if _normal(name) in wanted}


def versions() -> dict[str, str]:
    """Installed versions of the same packages."""
    return {name: metadata.version(name) for name in pins()}


def commit() -> str:
    """The checkout's commit; `+modified` if what results depend on has uncommitted changes; `unknown` without git."""
    sources = ["src", "notebooks", "studies", "pyproject.toml", "requirements.lock"]
    try:
        head = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--", *sources)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{head}+modified" if changed else head


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(paths.root()), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _normal(name: str) -> str:
    return name.strip().lower().replace("_", "-")


def _module_file(name: str) -> Path:
    """File of a module such as `compression.movement`; not a file where the name is a package or an attribute."""
    return _PACKAGE.joinpath(*name.split(".")).with_suffix(".py")


@cache
def _stripped_module(name: str) -> str:
    return stripped(_module_file(name).read_text(encoding="utf-8"))
