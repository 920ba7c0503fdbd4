"""WCAG as axe-core measures it: lib/axe.min.js, from npm's axe-core 4.14.1."""

from pathlib import Path

AXE = (Path(__file__).parent / "lib" / "axe.min.js").read_text(encoding="utf-8")
REFUSED = {"serious", "critical"}


def violations(page, **options) -> list[str]:
    """What axe-core refuses on the page as it stands, seriously or critically.

    The page has to be opened with `bypass_csp`, since axe writes a style into it.
    """
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    found = page.evaluate("(options) => axe.run(document, options)",
                          {"resultTypes": ["violations"], "preload": False, **options})
    return [
        f"{each['id']}: {node['html'][:200]}: {node['failureSummary'].splitlines()[-1].strip()}"
        for each in found["violations"] if each["impact"] in REFUSED for node in each["nodes"]
    ]
