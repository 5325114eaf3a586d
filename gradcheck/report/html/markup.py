"""HTML, and MathML and SVG within it, as text that cannot hold more than was meant."""

from __future__ import annotations

from html import escape


class Markup(str):
    """Text that is HTML already: all other text is escaped where it is put into some."""

    __slots__ = ()


def tag(name: str, *content: str, **attributes: object) -> Markup:
    """An element; an attribute is written as `class_` or `aria_label`, and left out where None."""
    said = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{said}>{joined(*content)}</{name}>")


def joined(*content: str) -> Markup:
    """One after the other."""
    return Markup("".join(map(_safe, content)))


def _safe(text: str) -> str:
    return text if isinstance(text, Markup) else escape(text, quote=False)
