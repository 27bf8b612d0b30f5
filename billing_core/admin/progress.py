"""A bar on stderr for whoever waits at a terminal; elsewhere nothing is shown."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn


class ProgressBar:
    """Shows what is going on and which part of it is done, and leaves no trace of itself."""

    def __init__(self) -> None:
        """Show nothing yet."""
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        # What is written to stdout meanwhile belongs there, and not to the bar.
        self._bar = Progress(
            *columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False
        )
        self._is_seen = console.is_terminal
        self._step = ""
        self._task = self._bar.add_task(self._step, total=None)

    def __call__(self, step: str, part: float | None) -> None:
        """Show a step, and which part of it is done if that is known."""
        if self._is_seen:
            self._bar.start()
            if step != self._step:
                self._step = step
                self._bar.remove_task(self._task)
                self._task = self._bar.add_task(step, total=None if part is None else 1)
            self._bar.update(self._task, completed=part or 0)

    def hide(self) -> None:
        """Make room for words; the next step shows the bar again."""
        if self._is_seen:
            self._bar.stop()

    def __enter__(self) -> Self:
        """Begin without a bar."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Remove the bar, however it ended."""
        self.hide()
