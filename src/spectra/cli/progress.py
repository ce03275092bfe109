"""A progress bar, on a terminal only: a log or a pipe gets none."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from spectra.cli.output import note
from spectra.cli.safe import safe

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID
    from rich.text import Text


class Bar:
    """How far the work has come, and a way to print beside it. This one draws nothing: nobody watches."""

    def move(self, done: float, total: float | None, words: str = "") -> None:
        """`done` of `total` units (None: unknown), and what to say beside the bar."""

    def note(self, message: str) -> None:
        """One line for the person."""
        note(message)

    def print(self, line: Text) -> None:
        """One line of the answer, on standard output."""
        from spectra.cli.output import console

        console().print(line)


class _Drawn(Bar):
    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def move(self, done: float, total: float | None, words: str = "") -> None:
        self._progress.update(self._task, completed=done, total=total, words=safe(words, 60))

    def note(self, message: str) -> None:
        self._progress.console.print(safe(message), markup=False, emoji=False, highlight=False)

    def print(self, line: Text) -> None:
        if sys.stdout.isatty():  # the same screen as the bar: printed above it, not through it
            self._progress.console.print(line, soft_wrap=True)
        else:
            super().print(line)


@contextmanager
def bar(title: str) -> Generator[Bar]:
    """A bar on standard error while the block runs, if that is a terminal."""
    if not sys.stderr.isatty():
        yield Bar()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    words = TextColumn("{task.fields[words]}", markup=False)
    columns = (TextColumn(title), BarColumn(), TaskProgressColumn(), TimeRemainingColumn(), words)
    screen = Console(stderr=True)
    with Progress(*columns, console=screen, transient=True, redirect_stdout=False, redirect_stderr=False) as progress:
        yield _Drawn(progress, progress.add_task(title, total=None, words=""))
