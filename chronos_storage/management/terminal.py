"""What the commands share: progress on a terminal, and a clean stop."""

from __future__ import annotations

import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.core.management.base import CommandError, OutputWrapper

_SECONDS = 0.1


class Progress:
    """One line that is written over and over; nothing at all where the stream is no terminal."""

    def __init__(self, stream: OutputWrapper) -> None:
        self._stopped = False
        self._stream = stream
        self._live = stream.isatty()
        self._due = 0.0

    def stop(self) -> None:
        """Have the work end with its next step."""
        self._stopped = True

    def show(self, text: str) -> None:
        """Show how far the work is after a step, unless that was shown just now.

        Raises:
            KeyboardInterrupt: the work is to end.
        """
        if self._stopped:
            raise KeyboardInterrupt
        if self._live and time.monotonic() >= self._due:
            self._write(text)
            self._due = time.monotonic() + _SECONDS

    def clear(self) -> None:
        """Make room for other output."""
        if self._live:
            self._write("")
            self._stream.write("\r", str, ending="")
            self._due = 0.0

    def _write(self, text: str) -> None:
        width = shutil.get_terminal_size().columns - 1
        self._stream.write(f"\r{text[:width]:{width}}", str, ending="")
        self._stream.flush()


@contextmanager
def on_interrupt(stop: Callable[[], object]) -> Iterator[None]:
    """Within the block, the first Ctrl-C calls `stop`, which asks the work to end; a second one interrupts at once.

    The first doesn't, as a KeyboardInterrupt can come where Python has to ignore it, in a ``__del__``.
    """

    def interrupted(*signal_and_frame: object) -> None:
        stop()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    is_main = threading.current_thread() is threading.main_thread()  # which alone hears of signals
    before = signal.signal(signal.SIGINT, interrupted) if is_main else None
    try:
        yield
    finally:
        if is_main:
            signal.signal(signal.SIGINT, before)


@contextmanager
def interruptible() -> Iterator[None]:
    """Within the block, which only waits for somebody, the first Ctrl-C interrupts at once."""
    is_main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, signal.default_int_handler) if is_main else None
    try:
        yield
    finally:
        if is_main:
            signal.signal(signal.SIGINT, before)


@contextmanager
def stoppable(progress: Progress, advice: str) -> Iterator[None]:
    """Around a command's work: Ctrl-C ends it after its current step, with a word of advice instead of a traceback."""
    try:
        with on_interrupt(progress.stop):
            yield
    except KeyboardInterrupt:
        raise CommandError(f"Stopped. {advice}", returncode=128 + signal.SIGINT) from None
    finally:
        progress.clear()


def one_line(text: str, limit: int = 500) -> str:
    """`text`, which may come from anywhere, as a terminal or a log can show it: on one line, without control codes."""
    shown = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text[:limit])
    return shown if len(text) <= limit else f"{shown}…"
