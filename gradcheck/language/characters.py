"""The characters that a formula is made of."""

from __future__ import annotations

import re
from typing import Final

from gradcheck.errors import ExpressionError

MAX_CHARACTERS: Final = 10_000

_FOREIGN: Final = re.compile(r"[^A-Za-z0-9_ \t\r\n+\-*/@%&|~<>=!()\[\],.:'\"]")
_RUN_ON: Final = re.compile(r"(?<![\w.])\.?\d[\d.]*+(?:[eE][-+]?\d+)?+[A-Za-z_]\w*", re.ASCII)
_UNDECIMAL: Final = re.compile(r"0[xXoObB]\w+|[\d_.]+")
_INSTEAD: Final = {
    "^": "a power is written **",
    "²": "a power is written **2",
    "³": "a power is written **3",
    "−": "a minus is written -",
    "–": "a minus is written -",
    "×": "a product is written *",
    "·": "a product is written *",
    "⋅": "a product is written *",
    "÷": "a quotient is written /",
    "√": "a square root is written sqrt(x)",
    "≤": "this is written <=",
    "≥": "this is written >=",
    "≠": "this is written !=",
    "π": "this is written pi",
    "{": "a formula has no dictionaries and no sets",
    "}": "a formula has no dictionaries and no sets",
    "#": "a comment stands outside of a formula",
    ";": "a formula is one expression; write steps for several",
    "\\": "a formula needs no backslash",
}


def check_characters(text: str) -> None:
    """What can be seen to be no formula before Python reads it.

    Raises:
        ExpressionError: The text is empty, too long, or has a character that no formula has.
    """
    if not text.strip():
        raise ExpressionError("the formula is empty")
    if len(text) > MAX_CHARACTERS:
        raise ExpressionError(
            f"the formula has {len(text):,} characters, more than {MAX_CHARACTERS:,}: "
            "name parts of it as steps"
        )
    if foreign := _FOREIGN.search(text):
        raise ExpressionError(_foreign(foreign.group()), foreign.start(), foreign.end())
    if run_on := _RUN_ON.search(text):
        raise ExpressionError(_run_on(run_on.group()), run_on.start(), run_on.end())


def _foreign(character: str) -> str:
    if character in _INSTEAD:
        return f"`{character}`: {_INSTEAD[character]}"
    if character.isprintable():
        return f"`{character}` is not part of the language; names are written in ASCII letters"
    return f"the character U+{ord(character):04X} is not part of the language"


def _run_on(text: str) -> str:
    if _UNDECIMAL.fullmatch(text):
        return "not a formula: a number is written in decimal digits, without _"
    return "not a formula: a product needs its *, as in 2*x"
