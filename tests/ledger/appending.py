"""A process that appends audit events, begun by a line on stdin.

Run it as `python -m tests.ledger.appending FILE ACTOR COUNT`.
"""

from __future__ import annotations

import sys

from tests.treasuries import NOON
from treasury_console.domain.audit import AuditRecord, Phase
from treasury_console.ledger.audit_log import append_event
from treasury_console.ledger.database import SqliteOptions, open_database


def main(file: str, actor: str, count: int) -> None:
    """Append `count` events, each in a transaction of its own."""
    database = open_database("treasury", f"sqlite:///{file}", SqliteOptions("OFF", 60))
    print("ready", flush=True)  # noqa: T201
    sys.stdin.readline()
    for number in range(count):
        with database.write() as connection:
            append_event(connection, AuditRecord(NOON, actor, "test", Phase.STEP, str(number)))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
