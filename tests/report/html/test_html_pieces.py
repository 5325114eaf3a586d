"""The number line, the heat map and what is embedded in a page, as text."""

import base64
import json
import math
import re
import zlib
from xml.etree import ElementTree

import pytest

from gradcheck.error_map import error_map, starts
from gradcheck.report.html.contents import contents, embedded, packed
from gradcheck.report.html.heat_map import _part, heat_map
from gradcheck.report.html.markup import Markup, joined, tag
from gradcheck.report.html.number_line import number_line
from gradcheck.results import Answer, Diagnosis, EntryAnswers, ErrorMap, Result, Written

NASTY = "</script><img src=x onerror=alert(1)><!-- \" ' & \u2028 \udcff"


def result(verdict="pass", **fields):
    known = {"case": "c", "file": "a.grad.yaml", "line": 7, "quantity": "dz/dx", "point": "1"}
    known |= {"dtype": "float64", "device": "cpu", "verdict": verdict}
    return Result(**{**known, **fields})


def tree(markup):
    return ElementTree.fromstring(markup.encode("utf-8", "replace"))


def balls(**answers):
    """The balls of a number line around the truth `exact`, by who answered."""
    drawn = tree(number_line(EntryAnswers("dz/dx", (), answers), "exact"))
    return {b.find("span").text: b for b in drawn.iter("div") if "gc-ball" in b.get("class", "")}


def test_text_is_escaped_and_markup_is_not():
    assert tag("p", "a < b & c", tag("b", '"'), title='"<"') == (
        '<p title="&quot;&lt;&quot;">a &lt; b &amp; c<b>"</b></p>'
    )
    assert joined("<", Markup("<br>")) == "&lt;<br>"
    assert tag("i", class_="x", hidden=None) == '<i class="x"></i>'


def test_balls_are_drawn_to_scale_around_the_truth():
    found = balls(handwritten=Answer(3.0, 0.5), exact=Answer(2.0, 0.25, "proven"))
    off = found["handwritten"]
    assert (off.get("data-offset"), off.get("data-radius")) == ("1.0", "0.5")
    half = 1.125  # the midpoint furthest off is near the edge
    line = off.find(".//line")
    ends = [float(line.get(end).rstrip("%")) for end in ("x1", "x2")]
    assert ends == pytest.approx([50 + 50 * 0.5 / half, 102], rel=1e-3)  # it is cut at the edge
    band = off.find(".//rect")
    assert float(band.get("width").rstrip("%")) == pytest.approx(100 * 0.25 / half, rel=1e-3)


@pytest.mark.parametrize(
    ("answer", "truth", "says"),
    [
        (Answer(3.0, 0.5), Answer(2.0, 0.25), "apart"),
        (Answer(3.0, 0.9), Answer(2.0, 0.25), "overlaps"),
        (Answer(math.nan, 0.0), Answer(2.0, 0.25), "apart"),
        (Answer(math.nan, 0.0), Answer(math.nan, 0.0), "overlaps"),
        (Answer(math.inf, 0.0), Answer(2.0, 0.25), "apart"),
        (Answer(math.inf, 0.0), Answer(math.inf, 0.0), "overlaps"),
        (Answer(3.0, math.inf), Answer(2.0, 0.25), "cannot tell"),
        (Answer(3.0, 0.1), Answer(2.0, math.inf), "cannot tell"),
        (Answer(0.0, 5e-324), Answer(0.0, 0.0), "overlaps"),
    ],
)
def test_each_ball_says_in_words_whether_it_overlaps_the_truth(answer, truth, says):
    found = balls(handwritten=answer, exact=truth)
    words = ["".join(ball.findall("span")[-1].itertext()) for ball in found.values()]
    assert words == [f"{says} · estimated", "truth · estimated"]


def test_what_is_not_finite_has_words_in_place_of_a_dot():
    found = balls(exact=Answer(2.0, 0.0), autograd=Answer(math.nan, 0.0))
    assert found["autograd"].find(".//text").text == "not finite"
    assert found["exact"].find(".//text").text is None


ERRORS = ErrorMap((2, 3), ((0.0, 1e-4, 1e-4), (0.5, math.inf, 0.0)), 4)


def cells(markup):
    """The shade of each cell, from the strokes."""
    found = {}
    for path in tree(markup).iter("path"):
        shade = int(path.get("class").removeprefix("gc-shade"))
        for column, row, length in re.findall(r"M(\d+) (\d+)\.5h(\d+)", path.get("d")):
            for one in range(int(length)):
                assert (int(row), int(column) + one) not in found
                found[int(row), int(column) + one] = shade
    return found


def test_every_cell_has_the_shade_of_its_error():
    found = cells(heat_map(ERRORS, None))
    assert found == {(0, 0): 0, (0, 1): 1, (0, 2): 1, (1, 0): 8, (1, 1): 9, (1, 2): 0}


def test_the_bytes_of_cells_tell_their_errors():
    drawn = tree(heat_map(ERRORS, None))
    codes = base64.b64decode(drawn.get("data-cells"))
    assert list(codes) == [0, 1, 1, 254, 255, 0]
    assert (drawn.get("data-low"), drawn.get("data-high")) == ("0.0001", "0.5")
    assert drawn.get("data-shape") == "2,3"


def test_the_worst_entry_is_marked_and_named():
    worst = EntryAnswers("dz[1]/dx[0]", (1, 0), {"exact": Answer(1.0, 0.0)})
    drawn = tree(heat_map(ERRORS, worst))
    marks = [rect for rect in drawn.iter("rect") if rect.get("class") == "gc-mark"]
    assert [(m.get("x"), m.get("y")) for m in marks] == [("0", "1")]
    assert "the worst dz[1]/dx[0]" in drawn.find(".//svg").get("aria-label")
    assert drawn.find("figcaption").text == "errors of 2 × 3 entries, 4 of them wrong"


@pytest.mark.parametrize(("count", "cells"), [(64, 64), (65, 64), (100, 64), (1000, 64), (7, 7)])
def test_an_entry_is_in_the_cell_that_its_error_was_dealt_to(count, cells):
    bounds = [*starts(count, cells), count]
    expected = [cell for cell in range(cells) for _ in range(bounds[cell], bounds[cell + 1])]
    assert [_part((index,), (count,), cells) for index in range(count)] == expected


def test_no_text_ends_the_script_that_it_is_embedded_in():
    text = embedded({"name": NASTY, "rows": [1.5, None]})
    assert "<" not in text
    assert text.isascii()
    assert json.loads(text) == {"name": NASTY, "rows": [1.5, None]}


def test_pieces_are_packed_by_fifty():
    pieces = [f"<p>{number}</p>" for number in range(120)]
    lines = packed(pieces).split("\n")
    found = [json.loads(zlib.decompress(base64.b64decode(line))) for line in lines]
    assert [len(one) for one in found] == [50, 50, 20]
    assert [piece for pack in found for piece in pack] == pieces


def rows(table, kind):
    return [dict(zip(table["columns"][kind], row, strict=True)) for row in table[kind]]


def test_results_are_told_the_worst_first_and_claims_once():
    results = [
        result(),
        result("inconclusive", quantity="dz/dy", resolution=math.inf, required=1e-6),
        result("fail", point="2", difference=0.5, required=1e-6),
        result("fail", quantity="dz/dw", difference=2.0, required=1e-6),
    ]
    table, pieces = contents(results)
    found = [(row["standing"], table["claims"][row["claim"]][3]) for row in rows(table, "results")]
    assert found == [
        ("fail", "dz/dw"),
        ("fail", "dz/dx"),
        ("inconclusive", "dz/dy"),
        ("pass", "dz/dx"),
    ]
    assert len(table["claims"]) == 3
    assert [row["evidence"] is None for row in rows(table, "results")] == [
        False,
        False,
        False,
        True,
    ]
    assert rows(table, "results")[2]["resolution"] == "any"
    assert len(pieces) == 3


def test_a_derivation_is_there_once_for_all_claims_of_a_case_with_what_became_of_each():
    derivation = (
        Written("step", "z", "x*y", 3),
        Written("derivative", "dz/dx", "y", 5),
        Written("derivative", "dz/dy", "y", 6),
    )
    right = result(formula="y")
    wrong = [
        result("fail", quantity="dz/dy", formula="y", point=point, derivation=derivation)
        for point in "12"
    ]
    table, pieces = contents([right, *wrong])
    (shown,) = [piece for piece in pieces if "gc-derivation" in piece]
    lines = [line.get("class") for line in tree(shown).iter("li")]
    assert lines == [None, "gc-pass", "gc-fail"]
    claims = rows(table, "claims")
    assert [claim["derivation"] for claim in claims] == [pieces.index(shown), None]


def test_evidence_has_what_the_terminal_tells():
    entry = {"handwritten": Answer(2.0, 1e-15), "exact": Answer(1.0, 0.0, "proven")}
    wrong = result(
        "fail",
        blame="handwritten",
        truth="exact",
        difference=1.0,
        formula="2*y",
        entries=tuple(EntryAnswers(f"dz[{i}]/dx", (i,), entry) for i in range(3)),
        diagnosis=(Diagnosis("constant_factor", "off by the factor `2`"),),
        notes=("it uses `dz/dy`, which is wrong", NASTY),
    )
    _, pieces = contents([wrong])
    text = " ".join("".join(tree(f"<p>{pieces[0]}</p>").itertext()).split())
    for told in (
        "off by 100.00% of the largest entry",
        "off by the factor 2",
        "2*y",
        "2 ± 1.0e-15",
        "dz[2]/dx",
        "it uses dz/dy, which is wrong",
        "repeat: gradcheck run a.grad.yaml::c --dtype float64 --device cpu",
    ):
        assert told in text
    assert "<img" not in pieces[0]


def test_the_largest_error_of_a_cell_is_what_it_shows():
    import numpy as np

    from gradcheck.ball import Ball

    truth = Ball(np.zeros((1, 130)), np.zeros((1, 130)), "proven")
    off = np.zeros((1, 130))
    off[0, 129] = 1.0
    found = error_map(truth, [Ball(off, np.zeros((1, 130)), "bounded")], 1.0)
    assert (len(found.cells[0]), found.cells[0][-1], sum(found.cells[0])) == (64, 1.0, 1.0)
