"""Stopping what the demo left running: its live coordinator.

The live coordinator holds a lock on `live-coordinator.pid` for as long as it runs. So a pid in that file is trusted
only while the lock is held: a number that the system has given to another process since is never signalled.
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

PID_FILE = "live-coordinator.pid"
_PATIENCE_SECONDS = 5.0
_POLL_SECONDS = 0.01


@dataclass(frozen=True)
class LiveMark:
    """The lock by which a process says that it is the live coordinator of a demo directory."""

    file: Path
    descriptor: int

    @classmethod
    def claim(cls, directory: Path) -> LiveMark:
        """Write this process's pid into the directory and hold the lock on it; raise OSError if another holds it."""
        file = directory / PID_FILE
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        if not _lock(descriptor):
            os.close(descriptor)
            raise FileExistsError(f"{file} belongs to another coordinator")
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        return cls(file, descriptor)

    def release(self) -> None:
        """Remove the file and let go of the lock."""
        self.file.unlink(missing_ok=True)
        os.close(self.descriptor)

    def __enter__(self) -> LiveMark:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()


def live_coordinator_pid(directory: Path) -> int | None:
    """Return the pid of the live coordinator of `directory`, or None if none is running."""
    try:
        descriptor = os.open(directory / PID_FILE, os.O_RDWR)
    except OSError:
        return None
    try:
        if _lock(descriptor):
            return None
        text = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
        return int(text) if text.isdigit() and int(text) > 1 else None
    finally:
        os.close(descriptor)


def stop_live_coordinator(directory: Path) -> bool:
    """Stop the live coordinator of `directory`, if one is running, and say whether one was.

    Its transaction stays as it is, in doubt: once the lease has run out it can be forced like any other.
    """
    pid = live_coordinator_pid(directory)
    if pid is None:
        (directory / PID_FILE).unlink(missing_ok=True)
        return False
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            break
        if _is_gone(directory, pid):
            break
    (directory / PID_FILE).unlink(missing_ok=True)
    return True


def _is_gone(directory: Path, pid: int) -> bool:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while live_coordinator_pid(directory) == pid:
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _lock(descriptor: int) -> bool:
    """Take the lock if nobody has it. It goes when the process does."""
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
