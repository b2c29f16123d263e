"""The real program under a pseudo-terminal: what it sends, byte by byte, and what a person would see of it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyte

PROGRAM = "from treasury_console.tui.main import main; main()"
PATIENCE = 60.0
"""Seconds after which something that should happen counts as not happening."""


@dataclass
class Terminal:
    """A running program on a terminal of its own. `raw` is everything that it has sent."""

    process: int
    descriptor: int
    screen: pyte.Screen
    raw: bytearray = field(default_factory=bytearray)
    status: int | None = None
    _stream: pyte.ByteStream = field(init=False)

    def __post_init__(self) -> None:
        self._stream = pyte.ByteStream(self.screen)

    @property
    def text(self) -> str:
        """What is on the screen."""
        return "\n".join(line.rstrip() for line in self.screen.display)

    def send(self, keys: bytes) -> None:
        """Press keys, all at once."""
        os.write(self.descriptor, keys)

    def until(self, condition: Callable[[], bool]) -> None:
        """Take in what is sent until `condition` holds."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > deadline or (not self._take_in(0.2) and self.ended() and not condition()):
                raise AssertionError(f"it never happened (status {self.status}); the screen is\n{self.text}")

    def until_shown(self, *words: str) -> None:
        """Take in what is sent until all of `words` are on the screen."""
        self.until(lambda: all(word in self.text for word in words))

    def take_in_for(self, seconds: float) -> bytes:
        """Return what is sent within `seconds`."""
        before = len(self.raw)
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._take_in(left)
        return bytes(self.raw[before:])

    def until_quiet(self, seconds: float = 0.5) -> None:
        """Take in what is sent until nothing is for some time."""
        while self.take_in_for(seconds):
            pass

    def resize(self, width: int, height: int) -> None:
        """Give the terminal another size."""
        self.screen.resize(height, width)
        _set_size(self.descriptor, width, height)

    def hang_up(self) -> None:
        """Close the terminal, as a lost connection does."""
        os.close(self.descriptor)
        self.descriptor = -1

    def signal(self, number: signal.Signals) -> None:
        """Send the program a signal."""
        os.kill(self.process, number)

    def wait(self) -> int:
        """Take in the rest and return the exit status; negative for the signal that ended the program."""
        deadline = time.monotonic() + PATIENCE
        while not self.ended():
            assert time.monotonic() < deadline, f"it did not end; the screen is\n{self.text}"
            if self.descriptor >= 0:
                self._take_in(0.1)
            else:
                time.sleep(0.02)
        if self.descriptor >= 0:
            self.take_in_for(0.1)
        assert self.status is not None
        return self.status

    def ended(self) -> bool:
        """Say whether the program has ended."""
        if self.status is None:
            process, status = os.waitpid(self.process, os.WNOHANG)
            if process:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status is not None

    def _take_in(self, seconds: float) -> bool:
        ready, _, _ = select.select([self.descriptor], [], [], seconds)
        if not ready:
            return False
        try:
            sent = os.read(self.descriptor, 65_536)
        except OSError:
            time.sleep(min(seconds, 0.05))
            return False
        self.raw += sent
        self._stream.feed(sent)
        return bool(sent)


@contextmanager
def on_terminal(
    arguments: Sequence[str],
    *,
    home: Path,
    size: tuple[int, int] = (80, 24),
    program: str = PROGRAM,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Terminal]:
    """Run the program with `arguments` on a terminal of `size`; end it afterwards if it has not ended."""
    process, descriptor = pty.fork()
    if process == 0:
        inherited = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
        variables = {**inherited, **_environment(home), **(environment or {})}
        os.execve(sys.executable, [sys.executable, "-c", program, *arguments], variables)
    _set_size(descriptor, *size)
    terminal = Terminal(process, descriptor, pyte.Screen(*size))
    try:
        yield terminal
    finally:
        if not terminal.ended():
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
        if terminal.descriptor >= 0:
            os.close(terminal.descriptor)


def _environment(home: Path) -> dict[str, str]:
    return {
        "TERM": "screen-256color",
        "COLORTERM": "",
        "HOME": str(home),
        "XDG_STATE_HOME": str(home / "state"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_DATA_HOME": str(home / "data"),
        "TREASURY_CONFIG": "",
        "TREASURY_PROFILE": "",
        "TREASURY_DATABASE_URL": "",
        "NO_COLOR": "",
    }


def _set_size(descriptor: int, width: int, height: int) -> None:
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
