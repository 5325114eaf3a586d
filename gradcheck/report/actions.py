"""Whether GitHub is to be told; in a module of its own, as every run of pytest asks."""

from __future__ import annotations

import os
from typing import Final

CHOICES: Final = ("auto", "on", "off")


def is_told(choice: str) -> bool:
    """As it was chosen; `auto` is yes where GitHub Actions is what runs this."""
    return choice == "on" or (choice == "auto" and os.environ.get("GITHUB_ACTIONS") == "true")
