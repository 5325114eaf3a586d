"""Names of values → MathML: `w_h` has a subscript, `alpha` is a letter, `y_hat` has a hat."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from gradcheck.report.html.markup import Markup, joined, tag

_LETTERS: Final = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau "
    "phi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega"
)
_GREEK: Final = dict(zip(_LETTERS.split(), "αβγδεζηθικλμνξπρστφχψωΓΔΘΛΞΠΣΦΨΩ", strict=True))
_ACCENTS: Final = {"hat": "^", "bar": "¯", "tilde": "~", "dot": "˙"}
_NUMBERED: Final = re.compile(r"([A-Za-z]+?)(\d+)", re.ASCII)


def name(text: str) -> Markup:
    """A name of the case language."""
    first, *others = [part for part in text.split("_") if part] or [text]
    if numbered := _NUMBERED.fullmatch(first):
        first, others = numbered[1], [numbered[2], *others]
    base = _letter(first)
    while others and others[0] in _ACCENTS:
        base = tag("mover", base, tag("mo", _ACCENTS[others.pop(0)]), accent="true")
    return tag("msub", base, listed(map(_letter, others))) if others else base


def differential(sign: str, what: Markup) -> Markup:
    """`d` or `∂` before a value."""
    return tag("mrow", tag("mi", sign, mathvariant="normal"), what)


def listed(items: Iterable[Markup]) -> Markup:
    """Several, with commas between them; one as it is."""
    first, *others = items
    if not others:
        return first
    return tag("mrow", first, *(joined(tag("mo", ",", separator="true"), one) for one in others))


def _letter(text: str) -> Markup:
    if text.isdigit():
        return tag("mn", text)
    return tag("mi", _GREEK.get(text, text))
