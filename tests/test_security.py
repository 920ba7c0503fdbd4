"""The files under security/ and SECURITY.md are about the lock and the tests that are here."""

import csv
import json
import re
import sys
from pathlib import Path

import pytest
import yaml
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
BOM = json.loads((ROOT / "security" / "sbom.cdx.json").read_text(encoding="utf-8"))
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
LOCKED = {canonicalize_name(name): version for name, version in (line.split("==") for line in LOCK)}


@pytest.fixture(scope="module")
def sbom():
    sys.path.insert(0, str(ROOT / "security"))
    try:
        import sbom
    finally:
        sys.path.pop(0)
    return sbom


def test_bill_and_lock_name_the_same_packages_and_versions():
    assert {canonicalize_name(each["name"]): each["version"] for each in BOM["components"]} == LOCKED
    assert {each["ref"] for each in BOM["dependencies"]} == set(LOCKED)
    assert all(set(each["dependsOn"]) <= set(LOCKED) for each in BOM["dependencies"])


def test_the_bill_is_one_and_says_nothing_of_a_machine_or_a_time():
    assert (BOM["bomFormat"], BOM["version"]) == ("CycloneDX", 1)
    text = json.dumps(BOM | {"$schema": ""})
    assert not re.search(r"https?://|file:|/home/|/root/|/work/|/tmp/|timestamp|serialNumber", text)


def test_the_table_of_licences_is_that_of_the_bill(sbom):
    with (ROOT / "security" / "licences.csv").open(encoding="utf-8", newline="") as file:
        heading, *rows = csv.reader(file)
    assert heading == ["package", "version", "licence", "flag"]
    assert rows == sbom.rows(BOM)


@pytest.mark.parametrize(("licence", "expected"), [
    ("MIT", ""), ("BSD-3-Clause", ""), ("Apache-2.0", ""), ("", "unknown"), ("UNKNOWN", "unknown"),
    ("LGPL-2.1-only", "copyleft"), ("GPL-3.0-or-later", "copyleft"), ("MPL-2.0 AND MIT", "copyleft"),
    ("GNU General Public License (GPL)", "copyleft"), ("NVIDIA Proprietary Software", "proprietary"),
])
def test_what_is_to_be_looked_at(sbom, licence, expected):
    assert sbom.flag(licence) == expected


def test_a_package_that_is_missing_or_of_another_version_is_no_bill(sbom):
    component = {"bom-ref": "a", "name": "A", "version": "1.0+cpu", "licenses": [{"license": {"id": "MIT"}}]}
    found = {"$schema": "", "bomFormat": "CycloneDX", "specVersion": "1.6", "dependencies": [],
             "components": [component]}
    assert sbom.bom(found, {"a": "1.0"})["components"][0]["version"] == "1.0"
    with pytest.raises(SystemExit, match="b"):
        sbom.bom(found, {"a": "1.0", "b": "1"})
    with pytest.raises(SystemExit, match=r"1\.0.*2\.0"):
        sbom.bom(found, {"a": "2.0"})


def test_the_tests_that_security_names_are_there():
    named = re.findall(r"`(test_\w+)\.py(?:::(test_\w+))?`", (ROOT / "SECURITY.md").read_text(encoding="utf-8"))
    assert len(named) > 10
    for file, test in named:
        found = (ROOT / "tests" / f"{file}.py").read_text(encoding="utf-8")
        assert not test or f"def {test}(" in found, test


def test_the_audit_runs_each_week_and_may_write_nothing():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "audit.yml").read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow[True]["schedule"]  # YAML reads "on" as a truth value
    assert "make audit" in [step.get("run") for step in workflow["jobs"]["audit"]["steps"]]
