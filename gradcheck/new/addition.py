"""The entry of a case is added to a file, of which nothing else changes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from textwrap import indent
from typing import Final

from gradcheck.casefile.document import Document

_LINE: Final = re.compile(r"[^\n]*\n|[^\n]+")
_NO_CASE: Final = re.compile(r"\s*$|#|cases:")
"""A line after which no blank line is needed."""


def addition(text: str, case: str) -> tuple[int, str] | None:
    """At which character of a file the entry goes, below its cases, and with what around it.

    None where there is no such place, as where the cases stand in `{…}`.
    """
    document = Document.parse(text, "")
    lines: list[str] = _LINE.findall(text)
    line, column = _place(document, lines)
    entry = indent(case, " " * column)
    if "cases" not in document.mapping():
        entry = f"cases:\n{entry}"
    before, after = lines[:line], lines[line:]
    if before and not _NO_CASE.match(before[-1]):
        entry = f"\n{entry}"
    if before and not before[-1].endswith("\n"):
        entry = f"\n{entry}"
    if after and after[0].strip():
        entry = f"{entry}\n"
    if "\r\n" in text:
        entry = entry.replace("\n", "\r\n")
    is_kept = _is_kept(document, Document.parse("".join([*before, entry, *after]), ""))
    return (len("".join(before)), entry) if is_kept else None


def _place(document: Document, lines: Sequence[str]) -> tuple[int, int]:
    """How many lines come before the new entry, and how far in it is."""
    cases = document.mapping("cases")
    starts = {key: document.position((key,), key=True)[0] for key in document.mapping()}
    following = [start for start in starts.values() if start > starts.get("cases", len(lines))]
    line = min(following) - 1 if following else len(lines)
    while following and re.match(r"\s*$|#", lines[line - 1]):  # it is about what follows
        line -= 1
    column = document.position(("cases", next(iter(cases))), key=True)[1] - 1 if cases else 2
    return line, column


def _is_kept(before: Document, after: Document) -> bool:
    """Whether all that was read before still is, with one case more."""
    cases = [*after.mapping("cases").items()]
    return (
        len(cases) == len(before.mapping("cases")) + 1
        and cases[:-1] == [*before.mapping("cases").items()]
        and {**after.mapping(), "cases": None} == {**before.mapping(), "cases": None}
    )
