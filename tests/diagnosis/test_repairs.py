"""Changes of a formula: what is shown is what was evaluated."""

import dataclasses
from itertools import chain

import pytest

from gradcheck.diagnosis.changes import changes
from gradcheck.diagnosis.insertions import insertions
from gradcheck.diagnosis.kinds import OF_A_DERIVATIVE
from gradcheck.diagnosis.surroundings import Surroundings
from gradcheck.language.editing import Editor, operand
from gradcheck.language.parser import parse
from gradcheck.language.tree import Node, with_node

LINKS = {"dy/dx": "dy/dx", "dz/dy": "dz/dy"}
SHAPES = {"x": (3,), "y": (3,), "W": (3, 3), "n": (), "dy": (3,), "dy/dx": (3,)}
FORMULAS = (
    "2*x*cos(x**2)",
    "dz/dy * dy/dx",
    "outer(dy, x)/n - W.T @ dy",
    "-sum(x - y, 0, keepdim=True) + mean(W, 1)",
    "where(x > 0, dy, 0.5*dy)",
    "einsum('ij,j->i', W, x)",
    "W[1:] @ x[n - 1]",
    "softmax(x, 0)*(dy - 1e-3)",
    "solve(W, x) @ W @ W.T",
    "0",
)


def without_places(node):
    """A tree but for where its nodes stand in the text."""
    if not dataclasses.is_dataclass(node):
        return tuple(map(without_places, node)) if isinstance(node, tuple) else node
    values = [getattr(node, f.name) for f in dataclasses.fields(node) if f.name not in PLACES]
    return type(node).__name__, *map(without_places, values)


PLACES = ("start", "end")


def surroundings(after=None):
    condition = Editor(parse("x > 0")).whole
    part = Editor(parse("sqrt(n)")).whole
    names = (*SHAPES, "sqrt(n)")
    return Surroundings(
        shapes=SHAPES,
        factors=names,
        conditions=(condition,),
        sizes=frozenset({3}),
        after=after,
        parts={"sqrt(n)": part},
    )


@pytest.mark.parametrize("text", FORMULAS)
def test_the_text_of_a_changed_formula_is_that_of_its_tree(text):
    formula = parse(text, links=LINKS)
    around = surroundings({"x": Editor(parse("W @ x")).whole})
    count = 0
    for repair in chain(changes(formula, around), insertions(formula, around)):
        count += 1
        again = parse(repair.expression.text, links=LINKS)
        assert without_places(again.tree) == without_places(repair.expression.tree), repair
        assert repair.kind in OF_A_DERIVATIVE
    assert count >= 10


def test_a_mended_formula_is_shown_unless_it_is_long():
    around = surroundings()
    (repair, *_) = changes(parse("x + y"), around)
    assert repair.text.endswith("is one too many: write `x`")
    long = " + ".join(["x"] * 60)
    assert not any("write" in one.text for one in insertions(parse(long), around))


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("x", "x"),
        ("x + y", "(x + y)"),
        ("-x", "(-x)"),
        ("f(x)", "f(x)"),
        ("W.T", "W.T"),
        ("x[0]", "x[0]"),
        ("dz/dy", "dz/dy"),
        ("a / b", "(a / b)"),
        ("1e-3", "1e-3"),
    ],
)
def test_an_operand_is_in_parentheses_where_it_needs_them(text, written):
    assert operand(text) == written


def test_a_tree_without_the_node_is_the_same_tree():
    tree = parse("x + y*x").tree
    other = parse("z").tree
    assert with_node(tree, other, other) is tree
    changed: Node = with_node(tree, tree.arguments[0], other)
    assert changed is not tree
    assert changed.arguments[1] is tree.arguments[1]
