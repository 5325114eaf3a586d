"""The page as a reader has it: opened, filtered, searched, looked into, by hand and by keyboard."""

import json
import math
import random
import re
import time
from itertools import pairwise

import browser
import pytest

from gradcheck.casefile.problems import Problem
from gradcheck.report.html.reader import Html
from gradcheck.results import Answer, Diagnosis, EntryAnswers, ErrorMap, Result, Written

PROGRAM = browser.program()
pytestmark = pytest.mark.skipif(PROGRAM is None, reason=browser.ADVICE)

NASTY = "</script><img src=x onerror=\"document.title='run'\">&<b>"
LONG = "a_very_long_name_" * 20
DERIVATION = (
    Written("step", "z", "x**2", 3),
    Written("step", "loss", "sum(z/2)", 4),
    Written("derivative", "dloss/dz", "1/2", 6),
    Written("derivative", "dz/dx", "3*x", 7),
)


def entry(label, index, off=1.0, truth=2.0):
    answers = {
        "handwritten": Answer(truth + off, 1e-15, "bounded"),
        "autograd": Answer(truth, 2e-16, "proven"),
        "numeric": Answer(truth + 1e-12, 1e-10),
        "exact": Answer(truth, 1e-17, "proven"),
    }
    return EntryAnswers(label, index, answers)


def result(verdict="pass", case="right", quantity="dloss/dz", file="cases/a.grad.yaml", **fields):
    known = {
        "line": 6,
        "point": "1",
        "dtype": "float64",
        "device": "cpu",
        "formula": "1/2",
        "truth": "exact",
        "resolution": 1e-12,
        "required": 1e-6,
        "digits": {"handwritten": 15.5, "autograd": 16.0},
        "seconds": 0.25,
    }
    return Result(**{**known, **fields}, case=case, file=file, quantity=quantity, verdict=verdict)


def scalar(**fields):
    known = {
        "blame": "handwritten",
        "formula": "3*x",
        "quantity": "dz/dx",
        "difference": 0.5,
        "line": 7,
        "entries": (entry("dz/dx", ()),),
        "diagnosis": (Diagnosis("constant_factor", "it is `3/2` of the right value"),),
        "derivation": DERIVATION,
        "notes": ("a note",),
    }
    return result("fail", **{"case": "scalar", **known, **fields})


def tensor(**fields):
    cells = ((0.0, 0.5), (1e-3, math.inf), (0.0, 0.25))
    known = {
        "case": "tensor",
        "quantity": "dL/dW",
        "entries": tuple(entry(f"dL/dW[{i}, 1]", (i, 1)) for i in (1, 0, 2)),
        "errors": ErrorMap((3, 2), cells, 4),
        "diagnosis": (Diagnosis("sign", "the sign is wrong"),),
        "file": "cases/b.grad.yaml",
        "dtype": "float32",
    }
    return scalar(**{**known, **fields})


RESULTS = (
    result(),
    result(quantity="dz/dx", formula="2*x", line=7, notes=("unstable: autograd keeps 2.0 digits",)),
    result(case="scalar"),
    scalar(),
    scalar(point="2", diagnosis=(), difference=0.1),
    tensor(),
    result(
        "inconclusive",
        case="kink",
        blame="function",
        resolution=math.inf,
        entries=(entry("dloss/dz", (), 0.0),),
        derivation=DERIVATION,
    ),
    result(
        "skipped",
        case="later",
        notes=("there is no device cuda here",),
        digits={},
        resolution=None,
        entries=(),
    ),
    result(
        "fail",
        case=NASTY,
        quantity=NASTY,
        formula=NASTY,
        blame="handwritten",
        notes=(NASTY, LONG),
        file=f"cases/{LONG}.grad.yaml",
        entries=(entry(NASTY, (), math.nan),),
    ),
)


def written(path, results, problems=()):
    html = Html(path)
    for problem in problems:
        html.problem(problem)
    for one in results:
        html.result(one)
    html.finish("some results", "told beside")
    return path.as_uri()


@pytest.fixture(scope="module")
def chromium():
    with browser.browser(PROGRAM) as running:
        yield running


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    problem = Problem("cases/c.grad.yaml", 3, 5, f"unknown key {NASTY}", source=f"    {NASTY}")
    return written(tmp_path_factory.mktemp("page") / "page.html", RESULTS, [problem])


@pytest.fixture
def opened(chromium, url):
    """Opens the page; whatever it logs, asks for or raises fails the test."""
    contexts, wrong = [], []

    def opened(hash="", at=url, width=1300, scheme="light"):
        size = {"width": width, "height": 850}
        context = chromium.new_context(viewport=size, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda asked: wrong.append(asked.url) if asked.url != at else None)
        page.goto(at + hash)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not [one for one in wrong if not one.startswith(("data:", f"{url}#"))]


def cases(page):
    return page.locator("#list .what b").all_inner_texts()


def facet(page, name, value):
    return page.locator("fieldset", has=page.get_by_text(name, exact=True)).get_by_title(
        value, exact=True
    )


def open_case(page, case):
    page.locator(".row", has_text=case).first.click()
    detail = page.locator(".claim", has_text=case).first.locator(".detail")
    detail.wait_for()
    return detail


def fits(page):
    return page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_worst_stands_first_and_what_is_told_of_all_above(opened):
    page = opened()
    assert page.locator("h1").inner_text().split("\n")[0].startswith("1 problem in the files")
    assert "4 failed" in page.locator("h1").inner_text()
    assert "told beside" in page.locator("header").inner_text()
    assert "unstable: 1" in page.locator("header").inner_text()
    assert cases(page)[0] == "scalar"
    assert cases(page)[-4:] == ["right", "right", "scalar", "later"]
    assert (
        page.locator(".problems pre").inner_text().startswith("cases/c.grad.yaml:3:5: unknown key")
    )
    assert page.locator("#count").inner_text() == "9 results of 8 claims"


def test_what_is_filtered_by_is_in_the_address_and_can_be_cleared(opened):
    page = opened()
    facet(page, "verdict", "pass").click()
    assert cases(page) == ["right", "right", "scalar"]
    assert page.url.endswith("#verdict=pass")
    facet(page, "verdict", "inconclusive").click()
    assert cases(page) == ["kink", "right", "right", "scalar"]
    page.get_by_text("clear filters").click()
    assert len(cases(page)) == 8
    assert "#" not in page.url


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("file", "cases/b.grad.yaml", ["tensor"]),
        ("mistake", "sign", ["tensor"]),
        ("blame", "function", ["kink"]),
        ("dtype", "float32", ["tensor"]),
        ("notice", "unstable", ["right"]),
    ],
)
def test_each_facet_filters(opened, name, value, expected):
    page = opened()
    facet(page, name, value).click()
    assert cases(page) == expected


def test_numbers_of_a_facet_are_those_under_the_others(opened):
    page = opened("#dtype=float32")
    assert facet(page, "verdict", "fail").locator(".number").inner_text() == "1"
    assert facet(page, "verdict", "pass").locator(".number").inner_text() == "0"
    assert facet(page, "dtype", "float64").locator(".number").inner_text() == "8"


def test_all_words_of_a_search_are_found_wherever_they_stand(opened):
    page = opened()
    page.keyboard.press("/")
    page.keyboard.type("SCALAR right value")
    assert cases(page) == ["scalar"]
    page.keyboard.press("Escape")
    assert len(cases(page)) == 8
    page.locator("#search").fill("no such thing")
    assert page.locator("#list").inner_text() == "nothing is like this"


def test_a_link_opens_what_another_reader_had_open(opened):
    first = opened()
    open_case(first, "tensor")
    page = opened("#" + first.url.partition("#")[2])
    page.locator(".detail").wait_for()
    assert page.locator(".detail .gc-diagnosis").inner_text() == "the sign is wrong"
    assert page.locator(".detail").count() == 1


def test_a_failure_shows_its_balls_formulas_and_diagnosis(opened):
    page = opened()
    detail = open_case(page, "scalar")
    assert detail.locator(".gc-diagnosis").inner_text() == "it is 3/2 of the right value"
    names = detail.locator(".gc-who").all_inner_texts()
    assert names == ["handwritten", "autograd", "numeric", "exact"]
    assert detail.locator(".gc-says").all_inner_texts()[0] == "apart · bounded"
    assert detail.locator(".gc-answer").first.inner_text() == "3 ± 1.0e-15"
    fraction = detail.locator(".gc-formula mfrac").first
    assert fraction.bounding_box()["height"] > 20  # it is drawn as one
    lines = detail.locator(".gc-derivation li")
    assert lines.count() == 4
    assert [line.get_attribute("class") for line in lines.all()] == [
        *(None, None),
        *("gc-pass", "gc-fail own"),
    ]
    assert "gradcheck run cases/a.grad.yaml::scalar" in detail.inner_text()


def test_the_line_zooms_through_all_magnitudes_by_buttons_keys_and_wheel(opened):
    page = opened()
    line = open_case(page, "scalar").locator(".gc-line")
    width = line.locator(".zoom span")
    at = line.locator(".gc-is-numeric circle")

    def shown():
        return float(width.inner_text().removeprefix("± "))

    start = shown()
    assert start == pytest.approx(1.1, abs=0.1)
    line.get_by_role("button", name="truth").click()
    assert shown() == pytest.approx(4e-17)
    assert at.get_attribute("cx") == "102%"  # it is beyond the edge, with an arrow
    assert line.locator(".gc-is-numeric .gc-beyond").text_content() == "▸"
    assert "truth" in line.locator(".gc-axis").text_content()
    line.get_by_role("button", name="difference").click()
    assert shown() == start
    line.focus()
    page.keyboard.press("+")
    assert shown() == pytest.approx(start / 2, rel=0.1)
    page.keyboard.press("-")
    line.hover()
    page.mouse.wheel(0, -2000)
    browser.expect(width).not_to_have_text(f"± {start:.1e}")
    assert shown() < start
    labels = line.locator(".gc-axis text").all_text_contents()
    assert labels == list(dict.fromkeys(labels))  # ticks that are apart look apart


def test_two_fingers_zoom_the_line(opened):
    page = opened()
    line = open_case(page, "scalar").locator(".gc-line")
    width = line.locator(".zoom span")
    before = width.inner_text()
    line.evaluate(
        """figure => {
            const finger = (type, pointerId, clientX) => figure.dispatchEvent(
                new PointerEvent(type, { pointerId, clientX, pointerType: "touch" }));
            finger("pointerdown", 1, 100);
            finger("pointerdown", 2, 200);
            finger("pointermove", 2, 300);
            finger("pointerup", 1, 100);
            finger("pointermove", 2, 900);
        }"""
    )
    half = float(before.removeprefix("± ")) / 2  # they are twice as far apart
    assert float(width.inner_text().removeprefix("± ")) == pytest.approx(half, rel=0.1)


def test_a_tensor_shows_where_it_is_wrong(opened):
    page = opened()
    detail = open_case(page, "tensor")
    heat = detail.locator(".gc-heat")
    readout = heat.locator(".gc-readout")
    assert readout.inner_text() == "◇ the worst: dL/dW[1, 1]"
    box = heat.locator("svg").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + box["height"] / 6)
    assert readout.inner_text() == "[0][1] off by 50 %"
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + box["height"] / 6)
    assert readout.inner_text() == "[0][0] right"
    page.mouse.move(0, 0)
    heat.locator(".gc-cells").focus()
    page.keyboard.press("ArrowDown")
    assert readout.inner_text() == "[1][0] off by 0.1 %"
    page.keyboard.press("ArrowRight")
    assert readout.inner_text() == "[1][1] not finite"
    assert detail.locator(".gc-scroll tbody tr").count() == 3


def test_an_entry_of_a_jacobian_is_told_by_both_its_indices(opened, tmp_path):
    cells = tuple(tuple(0.5 * (row == column) for column in range(6)) for row in range(6))
    errors = ErrorMap((3, 2, 3, 2), cells, 6)
    worst = (entry("dout[2, 0]/dx[2, 0]", (2, 0, 2, 0)),)
    at = written(tmp_path / "jacobian.html", [tensor(errors=errors, entries=worst)])
    page = opened(at=at)
    heat = open_case(page, "tensor").locator(".gc-heat")
    mark = heat.locator(".gc-mark").first
    assert (mark.get_attribute("x"), mark.get_attribute("y")) == ("4", "4")
    heat.locator(".gc-cells").focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowDown", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    assert heat.locator(".gc-readout").inner_text() == "[1, 1][1, 0] right"


def test_results_of_one_claim_can_be_told_apart(opened):
    page = opened()
    detail = open_case(page, "scalar")
    assert detail.locator(".results tbody tr").count() == 2
    detail.locator(".results tbody button").nth(1).click()
    detail.locator(".gc-diagnosis").wait_for(state="detached")
    assert "chosen" in detail.locator(".results tbody tr").nth(1).get_attribute("class")


def test_what_passes_tells_its_digits_and_resolution(opened):
    page = opened()
    row = page.locator(".claim.is-pass .row").nth(1)
    assert "unstable · digits 15.5 in float64 · resolution 1.0e-12" in row.inner_text()
    row.click()
    page.locator(".detail").wait_for()
    cells = page.locator(".detail .results td").all_inner_texts()
    assert {"1.0e-12", "1.0e-6", "15.5", "16.0", "250 ms"} <= set(cells)


def test_the_keyboard_is_enough(opened):
    page = opened()
    page.keyboard.press("j")
    page.keyboard.press("j")
    focused = "document.activeElement.querySelector('b')?.textContent"
    assert page.evaluate(focused) == cases(page)[1]
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    page.locator(".detail").wait_for()
    page.keyboard.press("ArrowDown")
    assert page.evaluate(focused) == cases(page)[1]
    page.keyboard.press("k")
    page.keyboard.press("Escape")
    assert page.locator(".detail").count() == 0
    assert page.evaluate(focused) == cases(page)[0]


def test_digits_resolution_and_time_follow_the_filters(opened):
    page = opened("#view=digits&dtype=float64")
    assert page.locator("#digits h2").all_inner_texts() == ["float64 · cpu", "the fewest digits"]
    assert page.locator("#digits .asked").count() == 1
    page.locator("#digits .weakest button").first.click()
    page.locator(".detail").wait_for()
    page.get_by_role("button", name="Time").click()
    times = page.locator("#time .slow li").first.inner_text()
    assert "750 ms" in times


def test_what_names_hold_is_text(opened):
    page = opened()
    detail = open_case(page, "onerror")
    detail.locator(".gc-notes").wait_for()
    assert page.title().startswith("✕ gradcheck")
    assert page.locator("img").count() == 0
    assert NASTY in detail.inner_text()
    assert "not finite" in detail.locator(".gc-line").text_content()


@pytest.mark.parametrize("hash", ["", "#view=digits", "#view=time"])
@pytest.mark.parametrize("width", [320, 700, 1300])
def test_nothing_is_wider_than_the_screen(opened, width, hash):
    page = opened(hash, width=width)
    assert fits(page)


def test_a_phone_shows_all_of_a_failure(opened):
    page = opened(width=375)
    for case in ("scalar", "tensor", "onerror"):
        open_case(page, case)
        assert fits(page)
    assert not page.locator("#facet-list").is_visible()
    page.get_by_text("Filters").click()
    facet(page, "verdict", "pass").click()
    assert set(cases(page)) == {"right", "scalar"}
    assert fits(page)


def brightness(page, what="document.body"):
    colour = page.evaluate(f"getComputedStyle({what}).backgroundColor")
    return sum(map(int, re.findall(r"\d+", colour)[:3])) / 3


def test_it_is_light_or_dark_as_the_system_is_or_as_one_chooses(opened):
    light, dark = opened(), opened(scheme="dark")
    assert brightness(light) > 200
    assert brightness(dark) < 60
    for expected in (lambda b: b > 200, lambda b: b < 60):
        dark.locator("#theme").click()
        assert expected(brightness(dark))


def test_without_scripts_the_worst_can_be_read(chromium, url):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(url)
    assert "4 failed" in page.locator("h1").inner_text()
    assert "FAIL  cases/a.grad.yaml:7  scalar  dz/dx" in page.locator("noscript").inner_text()
    context.close()


def many(verdict, seed):
    rng = random.Random(seed)
    for number in range(1000):
        file = f"cases/topic_{number % 20}.grad.yaml"
        if verdict == "pass":
            yield result(case=f"case_{number}", file=file)
        else:
            cells = tuple(tuple(rng.random() for _ in range(8)) for _ in range(8))
            yield tensor(
                case=f"case_{number}",
                file=file,
                difference=rng.random(),
                errors=ErrorMap((8, 8), cells, 64),
            )


@pytest.mark.parametrize("verdict", ["pass", "fail"])
def test_a_thousand_cases_are_there_at_once(opened, tmp_path, verdict):
    seed = random.SystemRandom().randrange(2**32)
    at = written(tmp_path / "many.html", many(verdict, seed))
    start = time.perf_counter()
    page = opened(at=at)
    page.locator(".row").first.wait_for()
    print(f"seed {seed}: 1,000 that {verdict} open in {time.perf_counter() - start:.2f} s")
    print(json.dumps(page.evaluate("performance.getEntriesByType('navigation')[0].toJSON()")))
    assert page.locator("#count").inner_text() == "1,000 results of 1,000 claims"
    assert page.locator(".row").count() < 200
    assert page.evaluate("document.querySelectorAll('*').length") < 3000
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    browser.expect(page.locator(".row")).not_to_have_count(80)
    page.locator("#search").fill("case_999 ")
    assert cases(page) == ["case_999"]


def test_what_is_opened_shows_all_of_its_name(opened, tmp_path):
    page = opened(at=written(tmp_path / "long.html", [scalar(case=LONG)]))
    name = page.locator(".what").first
    is_cut = "one => one.scrollWidth > one.clientWidth"
    assert name.evaluate(is_cut)
    open_case(page, LONG)
    assert not name.evaluate(is_cut)


def test_a_long_name_leaves_room_for_its_digits(opened, tmp_path):
    page = opened("#view=digits", at=written(tmp_path / "long.html", [result(case=LONG)]))
    table = page.locator(".weakest").bounding_box()
    around = page.locator("#digits .scroll").bounding_box()
    assert table["width"] <= around["width"]


@pytest.mark.parametrize("width", [320, 1300])
@pytest.mark.parametrize("size", [1e-299, 1.0, 1e300])
def test_labels_of_the_scale_keep_apart_and_all_is_within(opened, tmp_path, width, size):
    one = EntryAnswers(
        "dz/dx", (), {"handwritten": Answer(2 * size, 0.0), "exact": Answer(size, 0.0)}
    )
    page = opened(width=width, at=written(tmp_path / "scale.html", [scalar(entries=(one,))]))
    line = open_case(page, "scalar").locator(".gc-line")
    assert float(line.locator(".gc-is-handwritten circle").get_attribute("cx")[:-1]) < 100
    for _ in range(6):
        boxes = [text.bounding_box() for text in line.locator(".gc-axis text").all()]
        assert len(boxes) > 1
        for left, right in pairwise(sorted(boxes, key=lambda box: box["x"])):
            assert left["x"] + left["width"] < right["x"]
        line.get_by_title("zoom in").click()


def test_back_leads_from_a_claim_to_the_view_that_showed_it(opened):
    page = opened("#view=digits&dtype=float64")
    page.locator("#digits .weakest button").first.click()
    page.locator(".detail").wait_for()
    page.go_back()
    browser.expect(page.locator("#digits")).to_be_visible()
    assert page.url.endswith("#view=digits&dtype=float64")
    page.go_forward()
    page.locator(".detail").wait_for()


def test_paper_has_all_rows(opened, tmp_path):
    page = opened(at=written(tmp_path / "many.html", many("pass", 0)))
    assert page.locator(".row").count() < 200
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator(".row").count() == 1000


def test_a_readers_own_colours_leave_what_is_told_by_colour(opened):
    page = opened("#verdict=fail")
    page.emulate_media(forced_colors="active")
    open_case(page, "tensor")
    colour = "one => getComputedStyle(one).backgroundColor"
    bars, legend = page.locator("header .bar i"), page.locator(".gc-heat i")
    assert len({one.evaluate(colour) for one in bars.all()}) > 2
    assert len({one.evaluate(colour) for one in legend.all()}) > 5
    outline = "one => getComputedStyle(one).outlineStyle"
    assert facet(page, "verdict", "fail").evaluate(outline) == "solid"
    assert facet(page, "verdict", "pass").evaluate(outline) == "none"
