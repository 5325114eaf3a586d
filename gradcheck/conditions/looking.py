"""Conditions → what is said of them: one verdict for each that does not hold, one for the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from gradcheck.conclusion import Fields
from gradcheck.conditions.names import CONDITIONS
from gradcheck.conditions.subject import NotApplicableError, Subject
from gradcheck.conditions.table import TABLE
from gradcheck.frames import account_of, is_ours
from gradcheck.function_problems import ONE
from gradcheck.python_function import PythonFunction

QUANTITY: Final = "conditions"
_FUNCTIONS: Final = (
    *("the forward writes", "the forward gives", "the forward of other inputs"),
    "at a second evaluation",
)
"""How a problem begins that is one of the forward."""


def judge_conditions(
    function: PythonFunction,
    names: Sequence[str],
    who: str = "autograd",
    *,
    except_for: Mapping[str, str] | None = None,
) -> Iterator[Fields]:
    """What `who` wrote the backward is blamed for, condition by condition, then those that hold.

    Those in `except_for` are not looked at, each for the reason there.
    """
    if not names or not function.graph.tracked:
        return
    subject = Subject(function, may_be_sparse=True)
    held: list[str] = []
    not_asked: dict[str, str] = {}
    for name in names:
        if except_for and name in except_for:
            not_asked[name] = except_for[name]
            continue
        try:
            problems = list(TABLE[name](subject))
        except NotApplicableError as reason:
            not_asked[name] = str(reason)
            continue
        except Exception as error:
            if is_ours(error):
                raise
            problems = [f"it raises where {CONDITIONS[name]} is looked at: {account_of(error)}"]
        if problems:
            blame = "function" if _is_functions(problems) else who
            notes = (*problems[:3], f"what must hold: {CONDITIONS[name]}")
            yield {
                "quantity": ONE + name,
                "verdict": "fail",
                "blame": blame,
                "notes": notes,
            }
        else:
            held.append(name)
    yield {"quantity": QUANTITY, "verdict": "pass", "notes": tuple(_told(held, not_asked))}


def _is_functions(problems: Sequence[str]) -> bool:
    """Whether it is the forward that is to blame."""
    return problems[0].startswith(_FUNCTIONS)


def _told(held: Sequence[str], not_asked: dict[str, str]) -> Iterator[str]:
    if held:
        yield f"{len(held)} hold: {', '.join(held)}"
    if not_asked:
        why = "; ".join(f"{name} ({reason})" for name, reason in not_asked.items())
        yield f"not looked at: {why}"
