"""Syntax trees without the offsets of their nodes, to be compared."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from gradcheck.language.expression import Definition
from gradcheck.language.tree import Node
from gradcheck.language.word import Word


def bare(node: Node) -> Any:
    """What a node is and what is below it; of numbers also whether they are whole."""
    if isinstance(node, (Word, Definition)):
        return node.name
    if isinstance(node, (tuple, list)):
        return [bare(one) for one in node]
    if isinstance(node, Mapping) or not is_dataclass(node):
        return type(node).__name__, node
    names = [one.name for one in fields(node) if one.name not in ("start", "end")]
    return type(node).__name__, *(bare(getattr(node, name)) for name in names)
