"""A progress bar for runs that take longer than a moment."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, TypeVar

from rich.console import Console

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

Item = TypeVar("Item")

PATIENCE: Final = 1.0
"""Seconds before the bar appears."""


class Progress:
    """Counts what is done of `total`; shown only on a terminal, and gone at the end."""

    def __init__(self, console: Console, total: int) -> None:
        self._console = console
        self._total = total
        self._start = time.perf_counter()
        self._bar: RichProgress | None = None
        self._done = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def track(self, items: Iterable[Item]) -> Iterator[Item]:
        """The items, each counted once it has been dealt with."""
        for item in items:
            yield item
            self._done += 1
            self._show()

    def _show(self) -> None:
        if not self._console.is_terminal or time.perf_counter() - self._start < PATIENCE:
            return
        if self._bar is None:
            from rich.progress import Progress as RichProgress

            self._bar = RichProgress(console=self._console, transient=True)
            self._bar.add_task("checking", total=self._total)
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], completed=self._done)
