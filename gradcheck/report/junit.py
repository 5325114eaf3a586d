"""Results → JUnit XML: a test case for each case in a dtype on a device, as in pytest."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as Xml

from gradcheck.casefile.problems import Problem
from gradcheck.report.item import failure_text, properties
from gradcheck.report.terminal import repeat_command
from gradcheck.report.text_file import write_text
from gradcheck.results import Result

_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class JUnit:
    """Collects results, and writes them at the end.

    Raises:
        UsageError: The file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._items: dict[tuple[str, ...], list[Result]] = {}
        self._problems: list[Problem] = []
        write_text(path, "")  # it is known before the run whether that can be

    def problem(self, problem: Problem) -> None:
        self._problems.append(problem)

    def result(self, result: Result) -> None:
        item = (result.file, result.case, result.dtype, result.device)
        self._items.setdefault(item, []).append(result)

    def finish(self, *told: str) -> None:
        """Writes the file, which has no place for what is `told` of all."""
        cases = [*map(_invalid, self._problems), *map(_case, self._items.values())]
        suite = Xml.Element("testsuite", name="gradcheck", tests=str(len(cases)))
        for name, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            suite.set(name, str(sum(case.find(kind) is not None for case in cases)))
        suite.set("time", f"{sum(float(case.get('time', '0')) for case in cases):.3f}")
        suite.extend(cases)
        suites = Xml.Element("testsuites")
        suites.append(suite)
        Xml.indent(suites)
        write_text(self._path, Xml.tostring(suites, encoding="unicode", xml_declaration=True))


def _case(results: Sequence[Result]) -> Xml.Element:
    first = results[0]
    found = properties(results, first.line)
    name = f"{first.case}[{first.dtype}-{first.device}]"
    case = _test(first.file, name, found, sum(result.seconds for result in results))
    for kind, message, text in _outcome(results, found["verdict"]):
        Xml.SubElement(case, kind, message=_text(message)).text = _text(text)
    return case


def _outcome(results: Sequence[Result], verdict: str) -> Iterator[tuple[str, str, str]]:
    """What there is to say of a test that does not pass: the element, a message and a text."""
    if any(result.is_bad for result in results):
        text = failure_text(results, repeat_command(results[0]))
        yield "error" if verdict == "error" else "failure", text.partition("\n")[0], text
    elif verdict in ("skipped", "xfailed", "known"):
        told = [result for result in results if result.standing == verdict]
        yield "skipped", f"{verdict}: {' '.join(told[0].notes)}".rstrip(": "), ""


def _invalid(problem: Problem) -> Xml.Element:
    found = {"line": str(problem.line), "verdict": "invalid"}
    case = _test(problem.file, f"{problem.case}[invalid]", found, 0.0)
    error = Xml.SubElement(case, "error", message=_text(str(problem)))
    error.text = _text(problem.with_caret())
    return case


def _test(file: str, name: str, found: dict[str, str], seconds: float) -> Xml.Element:
    where = {"file": file, "line": found["line"]}
    case = Xml.Element("testcase", classname=_text(file.replace("/", ".")), name=_text(name))
    case.set("time", f"{seconds:.3f}")
    listed = Xml.SubElement(case, "properties")
    for key, value in (where | found).items():
        Xml.SubElement(listed, "property", name=key, value=_text(value))
    return case


def _text(text: str) -> str:
    """The text without what XML cannot hold."""
    return _NO_XML.sub("�", text)
