"""The explorer's page in a real Chromium: what is plotted is compared with what Python selects from the same data."""

import csv
import json
import random
import re
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from fake_records import ROWS, fake_study
from screens import DRAWN, SIZES, THEMES
from sphinx_pages import render

from laghu.report import calculator, explorer
from laghu.report.calculator import INPUTS, Shape
from laghu.report.explorer import AXES

PAGE = "book/explorer.html"
LEVELS = {"texts": 0, "machine": 1, "timing": 2}
AXIS = {axis.key: (place, axis) for place, axis in enumerate(AXES)}


@pytest.fixture(scope="module")
def data():
    """What the page was built from."""
    return explorer.collect()


@pytest.fixture
def visit(open_page):
    """Opens the page, at a fragment if one is given; for the rest as `open_page`."""

    def opened(fragment="", *screen, to=PAGE, **options):
        page = open_page(*screen, **options)
        page.goto(to + fragment)
        return page

    return opened


# ------------------------------------------------------------------------------- what Python selects


def selected(data, study="cpu", x="latency", y="clean", machine=None, timing=None, show="means", without=()):
    """Ids of the points that these choices leave, and of those on a front, by the definitions."""
    collections = {collection.key: collection for collection in data.collections}
    points = [point for point in (data.means if show == "means" else data.runs)
              if study in (point.collection, f"corpus:{collections[point.collection].corpus}")]
    if machine != "all":
        machine = machine or commonest(point.machine for point in points)
        points = [point for point in points if point.machine == machine]
    (at_x, of_x), (at_y, of_y) = AXIS[x], AXIS[y]
    points = [point for point in points if point.values[at_x] is not None and point.values[at_y] is not None]
    level = max(LEVELS[of_x.bound_to], LEVELS[of_y.bound_to])
    if level == 2 and timing != "all":
        timing = timing or commonest(point.timing for point in points)
        points = [point for point in points if point.timing == timing]
    points = [point for point in points if point.technique not in without and point.precision not in without]
    signs = [1 if axis.better == "higher" else -1 for axis in (of_x, of_y)]

    def beaten(point):
        for other in points:
            alike = (point.machine, point.timing)[:level] == (other.machine, other.timing)[:level]
            gains = [sign * (other.values[at] - point.values[at]) for sign, at in zip(signs, (at_x, at_y), strict=True)]
            if alike and min(gains) >= 0 and max(gains) > 0:
                return True
        return False

    return {point.id for point in points}, {point.id for point in points if not beaten(point)}


def commonest(texts):
    texts = list(texts)
    return max(dict.fromkeys(texts), key=texts.count)


def plotted(page):
    """Ids of the points that are drawn, and of those drawn as being on a front."""
    return tuple(set(page.eval_on_selector_all(selector, "links => links.map((link) => link.dataset.id)"))
                 for selector in ("a.laghu-point", "a.laghu-point.laghu-on-front"))


def choose(page, study=None, x=None, y=None, machine=None, timing=None, show=None, without=()):
    form = page.locator(".laghu-explorer form")
    for name, value in (("study", study), ("x", x), ("y", y), ("machine", machine), ("timing", timing)):
        if value is not None:
            form.locator(f"[name={name}]").select_option(value)
    if show:
        form.locator(f"[name=show][value={show}]").check()
    for key in without:
        form.locator(f'.laghu-chip input[value="{key}"]').uncheck()


ONNX = "ONNX Runtime on the CPU, token ids to logits, 32 tokens, batches of 32"
VIEWS = [
    {},
    {"x": "size"},
    {"x": "size", "y": "published", "without": ("quantization", "student")},
    {"x": "throughput", "timing": ONNX},
    {"x": "energy", "y": "deduplicated", "timing": "all"},
    {"x": "training-co2e", "without": ("bf16", "baseline")},
    {"show": "runs"},
    {"show": "runs", "x": "parameters", "y": "throughput", "timing": "all"},
    {"study": "cpu/speed", "x": "throughput"},
    {"study": "cpu/speed", "x": "co2e", "without": ("int8",)},
    {"study": "corpus:mahanews-open", "x": "throughput", "machine": "all", "timing": "all"},
    {"study": "corpus:mahanews-open", "x": "size", "machine": "all"},
    {"study": "corpus:mahanews-open", "x": "training-energy", "machine": "AMD EPYC, 1 thread"},
    {"study": "cpu-words/mahaner", "x": "size"},
    {"study": "cpu-bengali", "x": "clean", "y": "published", "show": "runs"},
    {"x": "latency", "y": "latency"},
]


@pytest.mark.parametrize("choices", VIEWS, ids=lambda choices: " ".join(map(str, choices.values())) or "as it opens")
def test_the_points_plotted_are_those_that_the_choices_leave(data, visit, choices):
    page = visit()
    choose(page, **choices)
    expected, front = selected(data, **choices)
    assert expected
    assert plotted(page) == (expected, front)
    rows = page.locator("#laghu-points tbody tr")
    assert rows.count() == len(expected)
    assert page.locator("#laghu-points tbody td:last-child", has_text=re.compile("^on it$")).count() == len(front)
    status = page.locator(".laghu-explorer [role=status]").inner_text()
    assert status.startswith(f"{len(expected)} of ")
    assert f"{len(front)} of them on the front" in status


def test_a_filter_that_is_undone_gives_back_what_was_there(data, visit):
    page = visit()
    before = plotted(page)
    choose(page, without=("pruning", "joint"))
    assert plotted(page) != before
    for key in ("pruning", "joint"):
        page.locator(f'.laghu-chip input[value="{key}"]').check()
    assert plotted(page) == before
    choose(page, study="cpu-bengali", x="size")
    page.get_by_role("button", name="Start again").click()
    assert plotted(page) == before == selected(data)


def test_nothing_left_is_said(visit):
    page = visit()
    keys = page.eval_on_selector_all("[data-name=precision] input", "inputs => inputs.map((input) => input.value)")
    choose(page, without=keys)
    assert plotted(page) == (set(), set())
    assert page.locator(".laghu-plot").text_content() == "No point to show"


@pytest.mark.parametrize("log", [True, False])
def test_places_are_proportional_to_values_or_to_their_logarithms(data, visit, log):
    page = visit()
    page.locator("[name=xscale]").set_checked(log)
    points = {point.id: point for point in data.means}
    drawn = page.eval_on_selector_all("a.laghu-point", "links => links.map((link) => [link.dataset.id, "
                                                       "Number(link.dataset.left), Number(link.dataset.top)])")
    for axis, column, scale in (("latency", 1, np.log10 if log else np.array), ("clean", 2, np.array)):
        values = scale([points[each[0]].values[AXIS[axis][0]] for each in drawn])
        pixels = np.array([each[column] for each in drawn])
        slope, start = np.polyfit(values, pixels, 1)
        np.testing.assert_allclose(slope * values + start, pixels, atol=0.01)
        assert (slope > 0) == (axis == "latency")


# ------------------------------------------------------------------------------- a point


def numbers_of(page):
    card = page.locator(".laghu-card")
    return dict(zip(card.locator("dt").all_inner_texts(), card.locator("dd").all_inner_texts(), strict=True))


def test_keyboard_focus_shows_the_run_and_enter_goes_to_its_page(data, visit):
    page = visit()
    page.locator(".laghu-skip").focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.matches('a.laghu-point')")
    identity = page.evaluate("document.activeElement.dataset.id")
    point = next(point for point in data.means if point.id == identity)
    card = page.locator(".laghu-card")
    assert card.is_visible()
    text = card.inner_text()
    for said in (point.label, point.machine, point.timing, ", ".join(map(str, point.seeds)), point.commits[0][:7]):
        assert said in text
    shown = numbers_of(page)
    assert len(shown) == len(AXES)
    for value, axis, written in zip(point.values, AXES, shown.values(), strict=True):
        assert written.startswith(explorer.shown(axis, value))
    label = page.evaluate("document.activeElement.getAttribute('aria-label')")
    for said in (point.label, point.machine, explorer.shown(AXES[0], point.values[0])):
        assert said in label
    page.keyboard.press("Escape")
    assert card.is_hidden()
    page.keyboard.press("Enter")
    page.wait_for_url("**/results/cpu/*.html")
    assert point.pages[0] in page.url


def test_every_point_can_be_reached_with_the_keyboard(visit):
    page = visit()
    expected = plotted(page)[0]
    page.locator(".laghu-skip").focus()
    reached = set()
    for _ in expected:
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.dataset.id"))
    assert reached == expected


def test_hovering_shows_the_run_and_leaving_hides_it(data, visit):
    page = visit()
    identity = "cpu#student-words"
    page.locator(f'a.laghu-point[data-id="{identity}"]').hover()
    card = page.locator(".laghu-card")
    assert "Student of its own (words)" in card.inner_text()
    box, stage = card.bounding_box(), page.locator(".laghu-stage").bounding_box()
    assert stage["x"] <= box["x"] and box["x"] + box["width"] <= stage["x"] + stage["width"] + 1
    card.hover()  # one may go there and read
    assert card.is_visible()
    page.locator("#explorer h1").hover()
    assert card.is_hidden()


def test_a_first_touch_shows_the_run_and_a_second_goes_there(visit):
    page = visit("", "phone", has_touch=True)
    point = page.locator('a.laghu-point[data-id="cpu#student-shallow"] .laghu-mark')
    point.tap()
    assert "Student of its own (shallow)" in page.locator(".laghu-card").inner_text()
    assert page.url.endswith("explorer.html")
    point.tap()
    page.wait_for_url("**/results/cpu/student-shallow-seed1.html")


def test_a_touch_that_a_click_does_not_tell_of_shows_the_run_too(visit):
    """As in browsers whose clicks are mouse events."""
    page = visit("", "phone", has_touch=True)
    followed = page.evaluate("""() => {
      const mark = document.querySelector('a.laghu-point[data-id="cpu#student-shallow"] .laghu-mark');
      return [1, 2].map(() => {
        mark.dispatchEvent(new PointerEvent("pointerdown", { pointerType: "touch", bubbles: true }));
        let followed;
        addEventListener("click", (event) => { followed = !event.defaultPrevented; event.preventDefault(); },
          { once: true });
        mark.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true }));
        return followed;
      });
    }""")
    assert followed == [False, True]
    assert "Student of its own (shallow)" in page.locator(".laghu-card").inner_text()


def test_a_run_without_a_page_leads_to_its_line_of_provenance(visit):
    page = visit("#show=runs")
    page.locator('a.laghu-point[data-id="cpu#pruning-50-seed2"]').focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/provenance.html#*")
    line = page.evaluate("document.getElementById(decodeURIComponent(location.hash.slice(1))).closest('tr').innerText")
    assert "pruning-50-seed2" in line


@pytest.fixture(scope="module")
def two_machines(tmp_path_factory, serve):
    """URL of an explorer of invented records, whose third seed is from another machine."""
    folder = tmp_path_factory.mktemp("two-machines")
    (folder / "studies").mkdir()
    runs = "".join(f"  - {json.dumps({key: row[key] for key in row})}\n" for row in ROWS)
    (folder / "studies" / "cpu.yaml").write_text(f"title: Two machines\nseeds: [1, 2, 3]\ncommon: {{}}\nruns:\n{runs}")
    static = Path(__file__).parents[2] / "book" / "_static"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAGHU_HOME", str(folder))
        for record in fake_study():
            threads = 8 if record.seed == 3 else 2
            record.model_copy(update={"hardware": record.hardware | {"threads": threads}}).save()
        render(folder, "# Page\n\n```{explorer} cpu\n```\n\n```{run-table} cpu\n```\n", "laghu.report.sphinx_ext",
               "laghu.report.explorer_ext", html_static_path=[str(static)], html_favicon=str(static / "favicon.svg"))
    return serve(folder / "html")


def test_two_means_of_one_row_have_a_card_and_a_link_each(visit, two_machines):
    page = visit(base_url=two_machines, to="index.html#x=size&machine=all")
    both = page.locator('a.laghu-point[data-id^="cpu#baseline"]')
    assert both.count() == 2
    found = set()
    for place in range(2):
        both.nth(place).focus()
        card = page.locator(".laghu-card").inner_text()
        (machine,) = re.findall(r"Invented CPU, \d threads", card)
        seeds = re.findall(r"mean over seeds [\d, ]+\d|seed \d", card)
        found.add((machine, *seeds, both.nth(place).get_attribute("href").partition("#")[2]))
    assert found == {("Invented CPU, 2 threads", "mean over seeds 1, 2", "run-cpu-baseline-seed1"),
                     ("Invented CPU, 8 threads", "seed 3", "run-cpu-baseline-seed3")}


# ------------------------------------------------------------------------------- what can be taken away


def test_the_csv_holds_the_points_drawn_to_the_last_digit(data, visit):
    page = visit()
    choose(page, x="size", without=("pruning",))
    with page.expect_download() as download:
        page.get_by_role("button", name="These points (CSV)").click()
    with Path(download.value.path()).open(encoding="utf-8", newline="") as file:
        lines = {line["id"]: line for line in csv.DictReader(file)}
    expected, front = selected(data, x="size", without=("pruning",))
    assert set(lines) == expected
    # One list of headings for this file and for those that the build makes.
    columns = list(explorer.csv(data.means, data.collections).columns)
    assert list(next(iter(lines.values()))) == [*columns, "front"]
    of_the_build = explorer.csv(data.means, data.collections).set_index("id", drop=False).astype(str)
    for identity, line in lines.items():
        assert {name: line[name] for name in columns if name not in explorer.FIELDS} == {
            name: of_the_build.at[identity, name] for name in columns if name not in explorer.FIELDS}
    for point in data.means:
        if line := lines.get(point.id):
            assert [line[axis.field] and float(line[axis.field]) for axis in AXES] == [
                "" if value is None else value for value in point.values]
            assert (line["front"] == "true") == (point.id in front)
            assert (line["machine"], line["timing"]) == (point.machine, point.timing)


def test_the_address_keeps_the_view(data, visit):
    choices = {"study": "corpus:mahanews-open", "x": "size", "machine": "all", "without": ("int8", "joint")}
    page = visit()
    choose(page, **choices)
    page.locator("[name=xscale]").uncheck()
    again = visit("#" + page.url.partition("#")[2])
    assert plotted(again) == plotted(page) == selected(data, **choices)
    assert not again.locator("[name=xscale]").is_checked()
    nonsense = visit("#study=no-such&x=%3Cimg%3E&show=none&machine=none&timing=none&without=")
    assert plotted(nonsense) == selected(data)


def test_it_works_from_a_file(site, data, visit):
    page = visit(base_url=f"{site.as_uri()}/")
    choose(page, x="size")
    assert plotted(page) == selected(data, x="size")
    assert page.locator(".laghu-costs").is_visible()


def test_without_scripts_there_are_tables_of_all_means(data, visit):
    page = visit(java_script_enabled=False)
    tables = page.locator(".laghu-without-script table")
    assert tables.count() == len(data.collections)
    assert page.locator(".laghu-without-script tbody tr").count() == len(data.means)
    assert tables.first.is_visible()
    assert visit().locator(".laghu-without-script").is_hidden()


# ------------------------------------------------------------------------------- on every screen


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("size", SIZES)
def test_every_screen(data, visit, size, theme):
    page = visit("", size, theme)
    assert page.evaluate("document.documentElement.dataset.theme") == theme
    assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size]["width"]
    looks = {technique.key: technique for technique in data.techniques}
    points = {point.id: point for point in data.means}
    for identity, color in page.eval_on_selector_all(
            "a.laghu-point", "links => links.map((link) => [link.dataset.id, "
                             "getComputedStyle(link.querySelector('.laghu-mark')).stroke])"):
        look = looks[points[identity].technique]
        expected = (look.color if theme == "light" else look.on_dark).lstrip("#")
        assert color == f"rgb({', '.join(str(int(expected[at:at + 2], 16)) for at in (0, 2, 4))})"
    frame = page.locator(".laghu-plot").bounding_box()
    for box in page.locator(".laghu-plot text, .laghu-mark").all():
        own = box.bounding_box()
        assert frame["x"] - 1 <= own["x"] and own["x"] + own["width"] <= frame["x"] + frame["width"] + 1
    for control in page.locator(".laghu-controls select:visible, .laghu-controls input:visible").all():
        assert control.evaluate("control => control.labels.length || control.ariaLabel"), control


def test_the_plot_follows_the_width_of_the_page(visit):
    page = visit()
    before = plotted(page)
    page.set_viewport_size(SIZES["phone"])
    page.evaluate(DRAWN)
    assert page.evaluate("document.querySelector('.laghu-plot').clientWidth") < 390
    assert plotted(page) == before
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


# ------------------------------------------------------------------------------- the calculator


def fill(page, values):
    page.evaluate("""values => {
        for (const [key, value] of Object.entries(values)) {
            const control = document.getElementById(`laghu-${key}`);
            control.value = value;
            control.dispatchEvent(new Event("input", { bubbles: true }));
        }
    }""", {key: str(value) for key, value in values.items()})


def counted(page):
    return {element["key"]: float(element["value"]) for element in page.eval_on_selector_all(
        ".laghu-calculator [data-key]", "cells => cells.map((cell) => ({...cell.dataset}))")}


def any_shape(rng):
    heads, positions = rng.randint(1, 32), rng.randint(1, 8192)
    return Shape(vocabulary=rng.randint(1, 2_000_000), width=heads * rng.randint(1, 256), layers=rng.randint(1, 128),
                 heads=heads, ffn=rng.randint(1, 32_768), length=rng.randint(1, positions), positions=positions,
                 labels=rng.randint(1, 100_000))


def reference_of(page):
    given = json.loads(page.locator(".laghu-calculator + script").text_content())
    return Shape(**given["shapes"][page.locator("#laghu-reference").input_value()])


def test_the_calculator_gives_what_the_formulas_of_python_give(visit):
    page, rng = visit(), random.Random(6)
    highest = Shape(**{given.key: given.high for given in INPUTS})
    for shape in [*(any_shape(rng) for _ in range(20)), highest]:
        fill(page, asdict(shape))
        assert counted(page) == calculator.numbers(shape, reference_of(page))
    page.locator("#laghu-reference").select_option("The paper's encoder")
    assert counted(page) == calculator.numbers(highest, reference_of(page))
    assert page.locator(".laghu-costs").inner_text().count(f"{calculator.parameters(highest):,}") == 1


def test_the_calculator_opens_with_a_model_of_the_book(visit):
    page = visit()
    known = json.loads(page.locator(".laghu-calculator + script").text_content())["shapes"]
    assert page.locator("#laghu-reference").input_value() == "Baseline"
    for name, values in known.items():
        page.locator("#laghu-start").select_option(name)
        assert counted(page) == calculator.numbers(Shape(**values), Shape(**known["Baseline"]))
    fill(page, {"ffn": 300})
    assert page.locator("#laghu-start").input_value() == ""


@pytest.mark.parametrize("changes", [
    {"layers": 0}, {"width": 100, "heads": 3}, {"vocabulary": 10**9}, {"length": 600, "positions": 512},
    {"ffn": "1.5"}, {"heads": ""}, {"labels": -1}, {"width": 2, "heads": 3}, {"layers": 0, "ffn": "", "length": 10**12},
])
def test_the_calculator_says_kindly_what_is_wrong(visit, changes):
    page = visit()
    before = {given.key: int(page.locator(f"#laghu-{given.key}").input_value()) for given in INPUTS}
    fill(page, changes)
    expected = calculator.problems(before | {key: value if isinstance(value, int) else None
                                             for key, value in changes.items()})
    assert expected
    for given in INPUTS:
        control = page.locator(f"#laghu-{given.key}")
        assert control.get_attribute("aria-invalid") == ("true" if given.key in expected else "false")
        described = page.locator(f"#{control.get_attribute('aria-describedby')}")
        assert described.inner_text() == expected.get(given.key, "")
    assert page.locator(".laghu-calculator [role=status]").inner_text() == " ".join(expected.values())
    assert page.locator(".laghu-costs").is_hidden()
    fill(page, {key: before[key] for key in changes})
    assert page.locator(".laghu-costs").is_visible()
