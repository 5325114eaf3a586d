"""Numbers of things, in words."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """`1 case`, `1,785 formulas`."""
    return f"{number:,} {noun}{'s' * (number != 1)}"
