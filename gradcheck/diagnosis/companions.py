"""What the derivative of a formula is made of, beside what the formula has."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from gradcheck.language.editing import Editor, Part, all_instead
from gradcheck.language.expression import Expression
from gradcheck.language.parser import parse
from gradcheck.language.tree import Call, Name, values_of


def companions(formula: Expression) -> Iterator[Part]:
    """The derivatives of a formula's words, as the vocabulary states them, and their parts.

    Of sin(x) it is cos(x), of sigmoid(x) also 1 - sigmoid(x).
    """
    editor = Editor(formula)
    for node in values_of(formula.tree):
        if not isinstance(node, Call):
            continue
        parts = {
            parameter.name: editor.part(argument)
            for parameter, argument in zip(node.word.parameters, node.arguments, strict=False)
        }
        parts["out"] = editor.part(node)
        for text in node.word.derivatives.values():
            for stated in _calls(text):
                names = [one for one in values_of(stated.tree) if isinstance(one, Name)]
                if names and all(one.name in parts for one in names):
                    own = all_instead(stated, [(one, parts[one.name]) for one in names])
                    yield Part(own.tree, own.text)


@cache
def _calls(text: str) -> tuple[Expression, ...]:
    """A statement, and all that it calls on the way, each as a formula of its own."""
    stated = parse(text)
    nodes = [node for node in values_of(stated.tree) if isinstance(node, Call)]
    return tuple(parse(text[node.start : node.end]) for node in nodes)
