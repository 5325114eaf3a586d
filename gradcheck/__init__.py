"""gradcheck decides whether a derivative that somebody wrote by hand is right."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from gradcheck.errors import GradcheckError
    from gradcheck.interface import check
    from gradcheck.report.report import Report
    from gradcheck.torch_compat import gradcheck, gradgradcheck

__all__ = ["GradcheckError", "Report", "check", "gradcheck", "gradgradcheck"]

_HOME: Final = {
    "GradcheckError": "gradcheck.errors",
    "Report": "gradcheck.report.report",
    "check": "gradcheck.interface",
    "gradcheck": "gradcheck.torch_compat",
    "gradgradcheck": "gradcheck.torch_compat",
}


def __getattr__(name: str) -> Any:
    """Public names are loaded when they are asked for: importing gradcheck imports no torch."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
