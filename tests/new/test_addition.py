"""The entry of a case is added to a file's text, of which nothing else changes."""

import pytest

from gradcheck.casefile.document import Document
from gradcheck.new.addition import addition

ENTRY = "new:\n  function: x\n"


def added(text):
    place, entry = addition(text, ENTRY)
    return text[:place] + entry + text[place:]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "cases:\n  new:\n    function: x\n"),
        ("# a head\n", "# a head\ncases:\n  new:\n    function: x\n"),
        ("cases:\n", "cases:\n  new:\n    function: x\n"),
        ("cases:\n  a: {}\n", "cases:\n  a: {}\n\n  new:\n    function: x\n"),
        ("cases:\n  a: {}", "cases:\n  a: {}\n\n  new:\n    function: x\n"),
        ("cases:\n  a: {}\n\n", "cases:\n  a: {}\n\n  new:\n    function: x\n"),
        (
            "cases:\n    a: {} # why\n  # end\n",
            "cases:\n    a: {} # why\n  # end\n\n    new:\n      function: x\n",
        ),
        ("cases:\na: 1\n", "cases:\n  new:\n    function: x\n\na: 1\n"),
        ("defaults: {}\n", "defaults: {}\n\ncases:\n  new:\n    function: x\n"),
        (
            "cases:\n  a: {}\n\n# about it\ndefinitions:\n  f(x): x\n",
            "cases:\n  a: {}\n\n  new:\n    function: x\n\n# about it\ndefinitions:\n  f(x): x\n",
        ),
        (
            "definitions:\n  f(x): x\n\ncases:\n  a: {}\n",
            "definitions:\n  f(x): x\n\ncases:\n  a: {}\n\n  new:\n    function: x\n",
        ),
        (
            "\ufeffcases:\r\n  a: {}\r\n",
            "\ufeffcases:\r\n  a: {}\r\n\r\n  new:\r\n    function: x\r\n",
        ),
        ("cases: {a: {}}\n", None),
        ("cases: {}\n", None),
        ("cases:\n  {a: 1}\n", None),
        ("{cases: 1}\n", None),
        ("- a\n", None),
        ("cases:\n  - a\n", None),
        ("cases:\n  a: {}\n...\n", None),
    ],
)
def test_a_case_goes_below_the_others(before, after):
    if after is None:
        assert addition(before, ENTRY) is None
    else:
        assert added(before) == after
        assert "new" in Document.parse(after, "").mapping("cases")


def test_a_second_case_goes_below_the_first():
    place, entry = addition(added(""), ENTRY.replace("new", "newer"))
    assert added("")[:place] + entry == (
        "cases:\n  new:\n    function: x\n\n  newer:\n    function: x\n"
    )


def test_a_file_with_mistakes_is_added_to():
    text = "cases:\n  a: {x: 1, x: 2}\n  a: *b\n"
    assert added(text).startswith(text)
