"""Formulas in `{…}` and `[…]` that lack the quotes they need, because YAML ends them at a comma."""

import re
from typing import Final

from gradcheck.casefile.problems import quoted

LONGEST_FORMULA: Final = 2_000  # bounds the search, so that hostile files take linear time

_MARKS: Final = re.compile(r"""\s\#|"[^"\n]*"|'[^'\n]*'|:(?=\s)|[][(){},]""")
_BRACKETS: Final = {"(": ")", "[": "]", "{": "}"}


def is_cut_off(text: str) -> bool:
    """Whether a plain scalar closes fewer parentheses than it opens."""
    return text.count("(") > text.count(")")


def formula_end(text: str, start: int) -> int | None:
    """Where the formula at `start`, in a flow collection, ends: at a comma, a colon or a bracket
    outside its own brackets. None if its brackets do not match."""
    expected: list[str] = []
    for mark in _MARKS.finditer(text, start, start + LONGEST_FORMULA):
        sign = mark[0]
        if sign in _BRACKETS:
            expected.append(_BRACKETS[sign])
        elif expected and sign == expected[-1]:
            expected.pop()
        elif not expected and sign[0] not in "\"'":
            return start + len(text[start : mark.start()].rstrip())
        elif sign in ")]}" or sign[-1] == "#":
            return None
    return None


def advice(formula: str, collection: str) -> str:
    """What to say about a formula without quotes in a `collection`, `{…}` or `[…]`."""
    shown = quoted(" ".join(formula.split()))
    return f"a formula with {_reason(formula)} inside {collection} needs quotes: write {shown}"


def _reason(formula: str) -> str:
    if "," in formula:
        return "a comma"
    return "brackets" if re.search(r"[][{}]", formula) else "a colon"


def masked(text: str, start: int, end: int) -> str:
    """A text of the same length in which [start, end) is one plain scalar to YAML."""
    return text[:start] + re.sub(r"[^\w\s]", "_", text[start:end]) + text[end:]
