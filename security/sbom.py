"""`make sbom`: what the locked environment consists of, as a CycloneDX file and as a table of licences.

Run by the Python of that environment. cyclonedx-py reads what is installed; kept is what belongs to the packages of
requirements.lock, in an order of its own, so that the files change when and only when the lock does.
"""

import csv
import io
import json
import re
import subprocess
import sys
from importlib import metadata
from itertools import islice
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

_ROOT = Path(__file__).parents[1]
LOCK = _ROOT / "requirements.lock"
BOM, TABLE = (Path(__file__).with_name(name) for name in ("sbom.cdx.json", "licences.csv"))
# What asks more of those who pass it on than to name its authors.
_COPYLEFT = re.compile(r"\b[AL]?GPL|General Public|MPL|Mozilla Public|EPL|EUPL|CDDL|CC-BY-SA", re.IGNORECASE)
_PROPRIETARY = re.compile(r"proprietary|NVIDIA", re.IGNORECASE)


def locked() -> dict[str, str]:
    """Version of each package of the lock by its normalised name."""
    lines = LOCK.read_text(encoding="utf-8").split()
    return {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}


def bom(found: dict[str, Any], wanted: dict[str, str]) -> dict[str, Any]:
    """A bill of materials without what isn't locked, and without what is about the machine or about other hosts."""
    components = {canonicalize_name(each["name"]): each for each in found["components"]}
    if missing := sorted(set(wanted) - set(components)):
        sys.exit(f"not installed, though locked: {', '.join(missing)}")
    references = {component["bom-ref"]: name for name, component in components.items()}
    needs = {references[each["ref"]]: [references[ref] for ref in each.get("dependsOn", []) if ref in references]
             for each in found["dependencies"] if each["ref"] in references}
    names = sorted(wanted)
    return {
        "$schema": found["$schema"], "bomFormat": found["bomFormat"], "specVersion": found["specVersion"], "version": 1,
        "metadata": {"component": {"type": "application", "name": "laghu", "bom-ref": "laghu"}},
        "components": [_component(name, wanted[name], components[name]) for name in names],
        "dependencies": [{"ref": name, "dependsOn": sorted({other for other in needs.get(name, []) if other in wanted})}
                         for name in names],
    }


def _component(name: str, version: str, found: dict[str, Any]) -> dict[str, Any]:
    if (installed := found["version"].partition("+")[0]) != version:
        sys.exit(f"{name} is installed in version {installed}, and locked in {version}; install requirements.lock")
    return {"type": "library", "bom-ref": name, "name": found["name"], "version": version,
            "purl": f"pkg:pypi/{name}@{version}", "licenses": _licences(found)}


def _licences(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Identifiers and names of licences; of one whose whole text was given as its name, the first line."""
    kept: list[dict[str, Any]] = []
    for given in found.get("licenses", []):
        if "expression" in given:
            return [{"expression": given["expression"]}]
        of = given["license"]
        shown = {"id": of["id"]} if "id" in of else {"name": (of["name"].strip().splitlines() or [""])[0][:80]}
        if {"license": shown} not in kept:
            kept.append({"license": shown})
    return kept or _named_by_file(found["name"])


def _named_by_file(package: str) -> list[dict[str, Any]]:
    """The licence in the first three lines of the file that a package brings with it, where its metadata name none."""
    for file in metadata.files(package) or ():
        if re.match(r"licen[cs]e|copying", file.name, re.IGNORECASE):
            lines = filter(None, map(str.strip, file.read_text(encoding="utf-8").splitlines()))
            heading = next((line for line in islice(lines, 3) if re.search("licen[cs]e", line, re.IGNORECASE)), None)
            if heading:
                return [{"license": {"name": heading[:80]}}]
    return []


def rows(made: dict[str, Any]) -> list[list[str]]:
    """Package, version, licences, and what to look at: "copyleft", "proprietary" or "unknown"."""
    return [[each["name"], each["version"], text, flag(text)]
            for each in made["components"] for text in [" or ".join(map(_shown, each["licenses"]))]]


def _shown(licence: dict[str, Any]) -> str:
    return licence.get("expression") or licence["license"].get("id") or licence["license"]["name"]


def flag(licence: str) -> str:
    """Whether a licence is one to look at."""
    if not licence or licence.upper() == "UNKNOWN":
        return "unknown"
    if _COPYLEFT.search(licence):
        return "copyleft"
    return "proprietary" if _PROPRIETARY.search(licence) else ""


def main() -> None:
    command = ["cyclonedx_py", "environment", "--output-reproducible", "--of", "JSON", sys.executable]
    done = subprocess.run([sys.executable, "-m", *command], check=True, stdout=subprocess.PIPE)
    made = bom(json.loads(done.stdout), locked())
    BOM.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows([["package", "version", "licence", "flag"], *rows(made)])
    TABLE.write_text(table.getvalue(), encoding="utf-8")
    print(f"{len(made['components'])} packages in {BOM.name} and {TABLE.name}")


if __name__ == "__main__":
    main()
