"""Child processes that do a task until it is done or they are killed, and say what happens to them."""

from __future__ import annotations

import json
import os
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass

FAILED = 70
"""The exit status of a child whose task raised."""


@dataclass(frozen=True)
class Voice:
    """What a child speaks through: lines of JSON, each written at once, so that none is cut off by its death."""

    descriptor: int

    def say(self, **words: object) -> None:
        """Say one line."""
        os.write(self.descriptor, json.dumps(words).encode() + b"\n")


@dataclass(frozen=True)
class Doom:
    """When a child dies: at its step number `step` by its own hand, or by the parent's about `linger` seconds later.

    In the latter case it is killed in the middle of whatever it is doing then.
    """

    step: int
    by_own_hand: bool
    linger: float


Task = Callable[[Voice], None]


class Child:
    """A forked process. The parent must have no database open when it makes one."""

    def __init__(self, task: Task) -> None:
        reading, writing = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(reading)
            _live(task, Voice(writing))
        os.close(writing)
        self._ears = os.fdopen(reading, "rb")
        self.heard: list[dict[str, str]] = []

    def listen(self) -> Iterator[dict[str, str]]:
        """Yield what the child says, until it is silent for ever."""
        for line in self._ears:
            self.heard.append(json.loads(line))
            yield self.heard[-1]

    def meet(self, doom: Doom) -> None:
        """Listen until the step of its doom, and kill the child, unless it does so itself."""
        steps = 0
        for words in self.listen():
            steps += "step" in words
            if steps == doom.step and not doom.by_own_hand:
                time.sleep(doom.linger)  # the moment of death is to fall anywhere in what follows
                os.kill(self.pid, signal.SIGKILL)
                break

    def end(self) -> int:
        """Wait until the child has ended; return its exit status, or minus the signal that killed it."""
        for _ in self.listen():
            pass
        self._ears.close()
        _, status = os.waitpid(self.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        assert code != FAILED, self.heard[-1]["traceback"]
        return code


def _live(task: Task, voice: Voice) -> None:
    """Do the task and leave without a trace: nothing of the parent's may be flushed, closed or run at exit."""
    code = FAILED
    try:
        task(voice)
        code = 0
    except BaseException:
        voice.say(traceback=traceback.format_exc()[-3000:])
    finally:
        os._exit(code)


def die() -> None:
    """Kill this process, now."""
    os.kill(os.getpid(), signal.SIGKILL)
