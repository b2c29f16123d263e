"""A process that moves money: `python -m tests.operations.paying FOLDER NAME KEY...`, begun by a line on stdin.

With keys it transfers 1.00 USD from Alice to Bob under each, and prints `KEY TXN_ID REPLAYED`. Without, it transfers
back and forth until its stdin is closed, and prints how many transfers it made.
"""

from __future__ import annotations

import random
import select
import sys
from pathlib import Path

from tests.treasuries import ALICE, BOB, CAROL, settings_in
from treasury_console.operations.payments import transfer
from treasury_console.operations.treasury import Treasury, open_treasury


def pay_once_per_key(treasury: Treasury, keys: list[str]) -> None:
    """Transfer under every key."""
    for key in keys:
        receipt = transfer(treasury, ALICE, BOB, "1.00", "USD", idempotency_key=key)
        print(key, receipt.txn_id, receipt.replayed, flush=True)  # noqa: T201


def pay_until_told_to_stop(treasury: Treasury) -> None:
    """Transfer among the usual agents until stdin is closed."""
    made = 0
    pairs = [(ALICE, BOB), (BOB, CAROL), (CAROL, ALICE), (BOB, ALICE), (CAROL, BOB), (ALICE, CAROL)]
    while not select.select([sys.stdin], [], [], 0)[0]:
        sender, receiver = pairs[made % len(pairs)]
        transfer(treasury, sender, receiver, "1.00", "USD")
        made += 1
    print(made, flush=True)  # noqa: T201


def main(folder: str, name: str, keys: list[str]) -> None:
    """Open the treasury, say so, wait for a line, and pay."""
    settings = settings_in(Path(folder))
    with open_treasury(settings, actor=f"{name}@test", randomness=random.Random(name)) as treasury:
        print("ready", flush=True)  # noqa: T201
        sys.stdin.readline()
        if keys:
            pay_once_per_key(treasury, keys)
        else:
            pay_until_told_to_stop(treasury)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
