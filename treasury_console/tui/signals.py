"""Signals: an orderly end on SIGTERM and SIGHUP, and no return to a terminal that has gone."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

ENDING = (signal.SIGTERM, signal.SIGHUP)
_LAST_RESORT_SECONDS = 30.0


def has_terminal() -> bool:
    """Say whether the terminal is still there; a terminal that was hung up answers nothing."""
    try:
        return sys.__stdin__ is not None and os.isatty(sys.__stdin__.fileno())
    except (OSError, ValueError):
        return False


def end_on_signals(end: Callable[[int], None]) -> None:
    """Call `end` in the running loop with the exit status of the signal that asks the process to end.

    A loop that can no longer end, blocked by a terminal that takes nothing, is ended the hard way after a while:
    every operation survives being killed.
    """
    loop = asyncio.get_running_loop()
    for number in ENDING:
        loop.add_signal_handler(number, _end, number, end)
    _resume_only_after_stop()


def _end(number: signal.Signals, end: Callable[[int], None]) -> None:
    status = 128 + number
    last_resort = threading.Timer(_LAST_RESORT_SECONDS, os._exit, [status])
    last_resort.daemon = True
    last_resort.start()
    end(status)


def _resume_only_after_stop() -> None:
    """Pass SIGCONT on only after SIGTSTP, and only to a terminal that is there.

    A hangup sends SIGCONT, too; Textual would take it for the end of a stop and start anew on the dead terminal, where
    its writer dies and everything that waits for it hangs.
    """
    on_stop, on_continue = signal.getsignal(signal.SIGTSTP), signal.getsignal(signal.SIGCONT)
    stopped = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal stopped
        stopped = True
        if callable(on_stop):
            on_stop(number, frame)

    def resume(number: int, frame: FrameType | None) -> None:
        nonlocal stopped
        if stopped and has_terminal() and callable(on_continue):
            on_continue(number, frame)
        stopped = False

    signal.signal(signal.SIGTSTP, stop)
    signal.signal(signal.SIGCONT, resume)
