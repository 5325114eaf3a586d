"""Leibniz names: what reads like a derivative, and where."""

import pytest

from gradcheck.language.leibniz import Link, find_links, parse_link


@pytest.mark.parametrize(
    ("text", "link"),
    [
        ("dloss/dw", Link("loss", "w")),
        ("dy_pred/dz", Link("y_pred", "z")),
        ("dx/dx", Link("x", "x")),
        ("ddx/dx", Link("dx", "x")),
        ("dh_1/dh_0", Link("h_1", "h_0")),
    ],
)
def test_a_link_is_two_names(text, link):
    assert parse_link(text) == link
    assert str(link) == text


@pytest.mark.parametrize(
    "text",
    ["", "d/d", "dx", "dx/x", "x/dx", "dx / dy", "dx/dy ", "d1/dx", "dx/dy/dz", "Dx/Dy", "dй/dx"],
)
def test_anything_else_is_no_link(text):
    assert parse_link(text) is None


def test_links_are_found_with_their_offsets():
    assert find_links("2*dy/dx + f(dz/dy)") == [(2, Link("y", "x")), (12, Link("z", "y"))]


def test_links_that_overlap_are_both_found():
    assert find_links("dz/dy/dx") == [(0, Link("z", "y")), (3, Link("y", "x"))]


def test_a_link_does_not_begin_inside_a_name():
    assert find_links("xdy/dx + _dy/dx + 2dy/dx") == []
