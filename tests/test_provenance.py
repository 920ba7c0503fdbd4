import ast
import dis
import json
import shutil
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path
from types import CodeType

import nbformat
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import laghu
from laghu import provenance
from laghu.provenance import CARRIERS, digest, stripped

PACKAGE = Path(laghu.__file__).parent
REPOSITORY = Path(__file__).parents[1]

CODE = '''"""Module."""
import math


def area(radius: float, pi: float = math.pi) -> float:
    """Area of a circle.

    A second paragraph.
    """
    # The formula.
    if radius < 0:
        raise ValueError(f"radius {radius!r} is {'neg' + 'ative'}")
    return pi * radius**2


class Circle:
    """A circle."""

    unit = "cm"
'''


# ------------------------------------------------------------------------------------------------ stripped


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""Module."""\n', ""), ('"""Module."""\n', "'''Another\nmodule.'''\n"), ("    # The formula.\n", ""),
        ("    # The formula.\n", "\n# At another depth.\n\n"), ("return pi", "return  pi"),
        ("radius**2", "radius ** 2"),
        ('    """Area of a circle.\n\n    A second paragraph.\n    """\n', ""), ('    """A circle."""\n\n', "\n"),
        ("return pi * radius**2", "return pi * \\\n        radius**2"),
        ("def area(radius: float, pi: float = math.pi)", "def area(\n    radius: float,\n    pi: float = math.pi\n)"),
        ("return pi * radius**2", "return pi * radius**2  # pi r squared"), ("\n\n\n", "\n"), ("\n", "\r\n"),
    ],
)
def test_how_code_is_written_does_not_matter(old, new):
    assert old in CODE
    assert stripped(CODE.replace(old, new)) == stripped(CODE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("radius**2", "radius**3"), ("    return pi", "        return pi"), ('"cm"', '"mm"'), ("'neg'", "'neg '"),
        ("{radius!r}", "{radius}"), ("radius <", "radius <="), ("import math\n", "import math\nimport os\n"),
        ("class Circle:", "class Ring:"), ('unit = "cm"', 'unit = "c m"'), ("def area", "async def area"),
    ],
)
def test_what_code_says_does_matter(old, new):
    assert old in CODE
    assert stripped(CODE.replace(old, new)) != stripped(CODE)


def test_strings_that_are_used_stay_and_lines_that_part_blocks_do():
    assert stripped('x = """a\n\n  # b"""\n') != stripped('x = """a\n  # b"""\n')
    assert stripped("if a:\n    b()\n    c()\n") != stripped("if a:\n    b()\nc()\n")
    assert stripped("a = 1\nb = 2\n") != stripped("a = 1 b = 2\n")
    assert stripped("") == stripped("# nothing\n\n") == ""


@pytest.mark.parametrize("name", ["training", "corpora", "provenance", "compression/movement", "spec"])
def test_what_is_left_of_a_module_is_the_same_program(name):
    """Module and stripped module have one syntax tree, docstrings apart."""
    source = (PACKAGE / f"{name}.py").read_text(encoding="utf-8")
    assert tree(stripped(source)) == tree(source)
    assert len(stripped(source)) < len(source)


def tree(source: str) -> str:
    module = ast.parse(source)
    for node in ast.walk(module):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            node.body = [line for line in node.body if not isinstance(getattr(line, "value", None), ast.Constant)
                         or not isinstance(line, ast.Expr)]
    return ast.dump(module)


# ------------------------------------------------------------------------------------------------ reachable


def walk(code: CodeType):
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from walk(constant)


def bytecode_imports(file: Path) -> set[str]:
    """Second implementation of what a module imports: the interpreter's own instructions, nested functions included."""
    names = set()
    for code in walk(compile(file.read_text(encoding="utf-8"), str(file), "exec")):
        module = ""
        for instruction in dis.get_instructions(code):
            if instruction.opname == "IMPORT_NAME":
                module = instruction.argval
                names.add(module)
            elif instruction.opname == "IMPORT_FROM":
                names.add(f"{module}.{instruction.argval}")
    return {name.removeprefix("laghu.") for name in names if name.startswith("laghu.")}


def brute_force_closure(package: Path) -> dict[str, set[str]]:
    """Everything each module reaches, itself included: the relation is multiplied with itself until it stands still."""
    files = {
        ".".join(file.relative_to(package).with_suffix("").parts): file
        for file in package.rglob("*.py") if file.name != "__init__.py"
    }
    counted = {name for name in files if name.split(".")[0] not in CARRIERS}
    reached = {name: {name} | bytecode_imports(files[name]) & counted for name in counted}
    while True:
        further = {name: set().union(*(reached[other] for other in found)) for name, found in reached.items()}
        if further == reached:
            return reached
        reached = further


def test_reachable_equals_a_brute_force_closure():
    closures = brute_force_closure(PACKAGE)
    assert {"experiment", "assessment", "training", "compression.movement", "techniques.pruning"} <= closures.keys()
    for name, reached in closures.items():
        assert provenance.reachable([name]) == sorted(reached), name
    pair = ["classical", "compression.surgery"]
    assert provenance.reachable(pair) == sorted(closures[pair[0]] | closures[pair[1]])


def test_carriers_are_modules_and_none_of_them_computes_a_number():
    here = {path.stem for path in PACKAGE.glob("*.py")} | {path.name for path in PACKAGE.iterdir() if path.is_dir()}
    assert here >= CARRIERS
    computing = {
        "assessment", "backbones", "classical", "compression", "distillation", "energy", "evaluation", "experiment",
        "measurement", "techniques", "training",
    }
    assert not CARRIERS & computing


@pytest.fixture
def package(tmp_path, monkeypatch) -> Path:
    """A package of four modules in the place of laghu's."""
    folder = tmp_path / "package"
    (folder / "sub").mkdir(parents=True)
    for name, source in {
        "a": "from laghu import b\nfrom laghu.sub.c import f\n", "b": "x = 1\n",
        "sub/c": "def f():\n    from laghu.d import g\n", "d": "import laghu.a\nfrom laghu import records\n",
        "alone": "y = 1\n", "records": "from laghu import alone\n",
    }.items():
        (folder / f"{name}.py").write_text(source)
    monkeypatch.setattr(provenance, "_PACKAGE", folder)
    provenance._stripped_module.cache_clear()
    yield folder
    provenance._stripped_module.cache_clear()


def test_reachable_goes_round_circles_and_stops_at_carriers(package):
    assert provenance.reachable(["a"]) == ["a", "b", "d", "sub.c"]
    assert provenance.reachable(["d"]) == ["a", "b", "d", "sub.c"]
    assert provenance.reachable(["b"]) == ["b"]
    assert provenance.reachable(["records"]) == []


@pytest.mark.parametrize(
    ("module", "counts"), [("a", True), ("sub/c", True), ("d", True), ("alone", False), ("records", False)]
)
def test_code_digest_covers_what_is_reached_and_nothing_else(package, module, counts):
    before = provenance.code_digest(["a"])
    file = package / f"{module}.py"
    file.write_text("# A comment.\n" + file.read_text())
    provenance._stripped_module.cache_clear()
    assert provenance.code_digest(["a"]) == before
    file.write_text(file.read_text() + "z = 3\n")
    provenance._stripped_module.cache_clear()
    assert (provenance.code_digest(["a"]) != before) == counts


# ------------------------------------------------------------------------------------------------ digests and keys


def test_digest_is_of_values_and_not_of_their_order():
    assert digest({"a": 1, "b": [2, 3]}) == digest({"b": [2, 3], "a": 1})
    different = [digest({"a": 1}), digest({"a": 2}), digest({"b": 1}), digest([1, 2]), digest([2, 1]), digest("1"),
                 digest(1), digest("a", "b"), digest("ab"), digest(["a", "b"]), digest()]
    assert len(set(different)) == len(different)
    assert all(len(value) == 64 for value in different)


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.fixture
def key(home):
    """The key of a pruning run in a checkout of its own."""

    def compute(**changes) -> str:
        provenance.pins.cache_clear()
        provenance._stripped_module.cache_clear()
        values = {"technique": "pruning", "parameters": {"pruning_level": 0.5}, "data_sha256": "d"}
        return provenance.run_key(**values | changes)

    yield compute
    provenance._stripped_module.cache_clear()


def test_key_stays_without_a_change_and_through_prose(home, key):
    before = key()
    assert key() == before
    template = home / "notebooks" / "pruning.ipynb"
    notebook = nbformat.read(template, as_version=4)
    for cell in notebook.cells:
        cell.source = ("Another text." if cell.cell_type == "markdown" else f"# A comment.\n{cell.source}\n\n")
    notebook.metadata["title"] = "another"
    nbformat.write(notebook, template)
    assert key() == before
    edit(home / "notebooks" / "baseline.ipynb", "experiment.baseline(spec, data)", "experiment.baseline(spec, None)")
    assert key() == before


def test_key_changes_with_each_of_its_ingredients(home, key):
    keys = [
        key(), key(technique="baseline"), key(parameters={"pruning_level": 0.25}), key(data_sha256="e"),
        key(parameters={"pruning_level": 0.5, "seed": 1}),
    ]
    edit(home / "notebooks" / "pruning.ipynb", "prune(spec, data, teacher)", "prune(spec, data, None)")
    keys.append(key())
    version = provenance.pins()["torch"]
    edit(home / "requirements.lock", f"torch=={version}", "torch==1.0.0")
    keys.append(key())
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(("module", "counts"), [("training", True), ("compression/surgery", True), ("records", False)])
def test_key_changes_with_the_code_that_a_template_reaches(home, key, monkeypatch, module, counts):
    before = key()
    shutil.copytree(PACKAGE, home / "package")
    monkeypatch.setattr(provenance, "_PACKAGE", home / "package")
    assert key() == before
    file = home / "package" / f"{module}.py"
    file.write_text(file.read_text(encoding="utf-8") + "\nEXTRA = 1\n", encoding="utf-8")
    assert (key() != before) == counts


def test_a_pin_of_a_package_that_is_only_depended_on_indirectly_does_not_matter(home, key):
    before = key()
    lock = (home / "requirements.lock").read_text()
    (home / "requirements.lock").write_text(lock.replace("babel==", "babel==99."))
    assert "babel==99." in (home / "requirements.lock").read_text()
    assert key() == before


def test_pins_are_the_locked_versions_of_the_named_dependencies():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    locked = {}
    for line in (REPOSITORY / "requirements.lock").read_text().splitlines():
        requirement = Requirement(line)
        (only,) = requirement.specifier
        assert only.operator == "=="
        locked[canonicalize_name(requirement.name)] = only.version
    wanted = [canonicalize_name(Requirement(line).name) for line in project["dependencies"]]
    assert provenance.pins() == {name: locked[name] for name in wanted}


def test_versions_are_the_installed_ones():
    found = provenance.versions()
    assert found == {name: metadata.version(name) for name in provenance.pins()}


# ------------------------------------------------------------------------------------------------ commit


def test_commit_says_when_what_results_depend_on_is_modified(home):
    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=nobody", "-c", "user.email=nobody@localhost", "-c", "commit.gpgsign=false"]
        command = ["git", "-C", str(home), *identity, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    assert provenance.commit() == "unknown"
    git("init", "--quiet")
    (home / "results").mkdir()
    (home / "results" / "record.json").write_text("{}")
    git("add", ".")
    git("commit", "--quiet", "--message", "all")
    head = git("rev-parse", "HEAD")
    assert provenance.commit() == head
    (home / "results" / "record.json").write_text(json.dumps({"changed": True}))
    assert provenance.commit() == head
    edit(home / "studies" / "quick.yaml", "seeds: [0]", "seeds: [1]")
    assert provenance.commit() == f"{head}+modified"
