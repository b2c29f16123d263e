"""The builder's side of the coordinator processes: start them, order their deaths, and make sure that they died."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType

from treasury_console.demo.coordinator_process import Order, Report
from treasury_console.domain.errors import Refused, TreasuryError
from treasury_console.domain.text import safe_text


class DemoFailed(TreasuryError):
    """The demo could not be made as it should be; what there is of it has been removed."""


@dataclass
class CoordinatorProcesses:
    """Carries out orders one after the other, beside the caller. Use it in a `with` statement."""

    _process: subprocess.Popen[str]
    _unreported: deque[Order] = field(default_factory=deque)

    @classmethod
    def start(cls) -> CoordinatorProcesses:
        """Start the process that will fork the coordinators; raise Refused on a system without fork."""
        if not hasattr(os, "fork"):
            raise Refused("the demo kills real processes, which needs fork and SIGKILL; use Linux or macOS")
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "treasury_console.demo.coordinator_process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                encoding="utf-8",
                start_new_session=True,
            )
        except OSError as error:
            raise DemoFailed(f"the demo's coordinator processes cannot be started: {error.strerror}") from error
        return cls(process)

    def __enter__(self) -> CoordinatorProcesses:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.kill()  # it has nothing left to do, and ending by itself would take it longer
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):  # an order that was never read may still be in the pipe
                if pipe is not None:
                    pipe.close()
        self._process.wait()

    def order(self, order: Order) -> None:
        """Have `order` carried out, after those before it, and do not wait for it."""
        self._unreported.append(order)
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(order.to_line() + "\n")
            self._process.stdin.flush()
        except OSError as error:
            raise DemoFailed("the demo's coordinator processes ended before their time") from error

    def await_reports(self) -> list[Report]:
        """Wait until every order is carried out; raise DemoFailed unless each process ended as it was told to.

        A coordinator that was ordered to die must have been killed by SIGKILL, and one that was to stay must live.
        """
        reports = []
        while self._unreported:
            order = self._unreported.popleft()
            assert self._process.stdout is not None
            line = self._process.stdout.readline()
            if not line:
                raise DemoFailed("the demo's coordinator processes ended before their time")
            report = Report(**json.loads(line))
            _check(order, report)
            reports.append(report)
        return reports


def _check(order: Order, report: Report) -> None:
    if order.stay_seconds:
        as_told = report.signal is None and report.exit_status is None
    else:
        as_told = report.signal == signal.SIGKILL
    if not as_told:
        raise DemoFailed(
            f"coordinator {order.name} ended otherwise than it was told to: "
            f"{safe_text(report.message, 300) or f'signal {report.signal}, exit status {report.exit_status}'}"
        )
