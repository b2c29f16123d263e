"""A demo for the length of a session: built in a fresh directory, its live coordinator stopped at the end."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from treasury_console.demo.build import DemoTreasury, Progress, build_demo
from treasury_console.demo.cleanup import stop_live_coordinator


@contextmanager
def demo_session(on_progress: Progress = lambda _message: None, *, seed: int = 7) -> Iterator[DemoTreasury]:
    """Yield a demo treasury in a directory of its own below the system's temporary one, for this user alone.

    The directory stays, to be looked at or deleted: whoever owns the session names it at the end. Raises as
    `build_demo`, leaving nothing behind then.
    """
    directory = Path(tempfile.mkdtemp(prefix="treasury-demo-"))
    try:
        demo = build_demo(directory, on_progress=on_progress, seed=seed)
    except BaseException:
        directory.rmdir()
        raise
    try:
        yield demo
    finally:
        stop_live_coordinator(directory)
