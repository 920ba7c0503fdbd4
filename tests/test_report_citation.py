"""How to cite. Oracle: pybtex, which reads the entries as BibTeX would, and CITATION.cff as YAML."""

import pytest
import yaml
from pybtex.database import parse_string
from sphinx_pages import render

from laghu import paths
from laghu.errors import LaghuError
from laghu.report import citation

WORK = {
    "type": "article", "title": "On Pruning: A {Study}", "year": 2024, "doi": "10.1/x",
    "authors": [{"family-names": "Vaidya", "given-names": "A. B."}, {"name": "The Group and Others"}],
    "identifiers": [{"type": "other", "value": "arXiv:2409.14162"}],
}


def entry(work):
    (key, found), = parse_string(citation.bibtex(work), "bibtex").entries.items()
    return key, found


def test_a_work_is_what_bibtex_reads_from_its_entry():
    key, found = entry(WORK)
    assert (key, found.type) == ("vaidya2024pruning", "article")
    assert found.fields["title"] == "{On Pruning: A {Study}}"
    assert (found.fields["eprint"], found.fields["archiveprefix"]) == ("2409.14162", "arXiv")
    people = found.persons["author"]
    assert people[0].last_names == ["Vaidya"] and people[0].first_names == ["A."]
    assert str(people[1]) == "{The Group and Others}"


@pytest.mark.parametrize(("changes", "expected"), [
    ({"title": "On an AI"}, "vaidya2024on"), ({"title": "2024: 10 %"}, "vaidya2024"),
    ({"title": "(L3Cube) Models"}, "vaidya2024lcube"),
    ({"authors": [{"family-names": "van den Müller-Ł.", "given-names": "A."}]}, "vandenmullerł2024pruning"),
    ({"title": "Laghu 2: small", "authors": [{"name": "The authors"}]}, "laghu2024"),
])
def test_a_key_is_letters_and_the_year_whatever_the_title(changes, expected):
    assert entry(WORK | changes)[0] == expected


@pytest.mark.parametrize(("changes", "named"), [
    ({"type": "film"}, "'film'"), ({"title": ""}, "title"), ({"authors": []}, "authors"),
])
def test_what_cannot_be_cited_is_refused_by_name(changes, named):
    with pytest.raises(LaghuError, match=named):
        citation.bibtex(WORK | changes)


def test_the_committed_file_has_an_entry_for_the_book_and_for_each_work_that_it_refers_to():
    given = yaml.safe_load((paths.root() / "CITATION.cff").read_text(encoding="utf-8"))
    loaded = citation.load()
    works = [loaded, *loaded["references"]]
    entries = [entry(work) for work in works]
    assert len({key for key, _ in entries}) == len(works) == 1 + len(given["references"])
    assert [found.fields["title"] for _, found in entries] == [
        f"{{{work['title']}}}" for work in (given, *given["references"])]
    assert entries[0][1].fields["version"] == given["version"]
    assert entries[0][1].fields["year"] == str(given["date-released"])[:4]


def test_a_checkout_without_the_file_is_a_warning_at_the_directive(tmp_path, monkeypatch):
    monkeypatch.setenv("LAGHU_HOME", str(tmp_path))
    html, warnings = render(tmp_path, "# Cite\n\n```{citation}\n```\n", "laghu.report.citation_ext")
    assert "no CITATION.cff" in warnings and "index.md:3" in warnings
    (tmp_path / "CITATION.cff").write_text(yaml.safe_dump({"message": "m", **WORK}), encoding="utf-8")
    html, warnings = render(tmp_path, "# Cite\n\n```{citation}\n```\n", "laghu.report.citation_ext")
    assert not warnings and "@article" in html
