"""Ways in which a bug, or somebody with the database in hand, makes books wrong; each says what must be found.

Before the damage Alice has three entries: 1000.00 in, 10.00 to Bob, 2.50 from Carol; so has Bob: 1000.00 in, 10.00 from
Alice, 4.00 from Carol.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.treasuries import ALICE, BOB, CAROL, ScratchTreasury
from treasury_console.domain.drift import Cause, Check, Finding
from treasury_console.operations.payments import transfer

TO_BOB, FROM_CAROL, CAROL_TO_BOB = "to-bob", "from-carol", "carol-to-bob"


@dataclass(frozen=True)
class Found:
    """What a finding must say."""

    check: Check
    agent_id: str
    expected: int
    actual: int
    cause: Cause | None = None

    def is_said_by(self, finding: Finding) -> bool:
        """Say whether `finding` is this one."""
        said = (finding.check, finding.agent_id, finding.currency, finding.expected, finding.actual)
        return said == (self.check, self.agent_id, "USD", self.expected, self.actual) and (
            self.cause is None or finding.cause is self.cause
        )


@dataclass(frozen=True)
class Damage:
    """A damage: `do` it, and exactly `found` must be found by a full run, `verified` by verifying everybody."""

    do: Callable[[ScratchTreasury], None]
    found: tuple[Found, ...]
    verified: tuple[Found, ...] | None = None

    @property
    def found_by_verifying(self) -> tuple[Found, ...]:
        """What verifying the agents finds: by default the same."""
        return self.found if self.verified is None else self.verified


def with_history(scratch: ScratchTreasury) -> dict[str, str]:
    """Make the transfers described above; return their txn_ids by name."""
    treasury = scratch.observer
    return {
        TO_BOB: transfer(treasury, ALICE, BOB, "10.00", "USD", reference=TO_BOB).txn_id,
        FROM_CAROL: transfer(treasury, CAROL, ALICE, "2.50", "USD", reference=FROM_CAROL).txn_id,
        CAROL_TO_BOB: transfer(treasury, CAROL, BOB, "4.00", "USD", reference=CAROL_TO_BOB).txn_id,
    }


def assert_found(findings: tuple[Finding, ...], expected: tuple[Found, ...]) -> None:
    """Check that the findings are exactly those expected."""
    missing = [wanted for wanted in expected if not any(wanted.is_said_by(finding) for finding in findings)]
    surplus = [finding for finding in findings if not any(wanted.is_said_by(finding) for wanted in expected)]
    assert (missing, surplus) == ([], []), f"missing {missing}, surplus {surplus}"
    assert len(findings) == len(expected)


def sql(name: str, *statements: str) -> Callable[[ScratchTreasury], None]:
    """Return a damage by SQL; `{to-bob}` and the like stand for transactions."""

    def do(scratch: ScratchTreasury) -> None:
        names = dict(scratch.query("treasury", "SELECT reference, txn_id FROM transactions"))
        filled = []
        for statement in statements:
            for reference, txn_id in names.items():
                if reference:
                    statement = statement.replace(f"{{{reference}}}", txn_id)  # noqa: PLW2901
            filled.append(statement)
        scratch.tamper(name, *filled)

    return do


def account(agent_id: str, change: str) -> str:
    """Return SQL that changes an account."""
    return f"UPDATE accounts SET {change} WHERE agent_id = '{agent_id}'"


def entry(txn_id: str, agent_id: str, amount: int, version: str, balance_after: str) -> str:
    """Return SQL that posts an entry."""
    return (
        "INSERT INTO entries (txn_id, agent_id, currency, version, amount, balance_after, kind, reference, posted_at,"
        f" effective_at) SELECT '{txn_id}', '{agent_id}', 'USD', {version}, {amount}, {balance_after}, 'transfer', '',"
        " max(posted_at), max(posted_at) FROM entries"
    )


def hold(txn_id: str, agent_id: str, amount: int) -> str:
    """Return SQL that leaves a hold."""
    return (
        "INSERT INTO holds (txn_id, participant, currency, amount, kind, reference, epoch, held_at)"
        f" VALUES ('{txn_id}', '{agent_id}', 'USD', {amount}, 'transfer', '', 1, 0)"
    )


def both(*acts: Callable[[ScratchTreasury], None]) -> Callable[[ScratchTreasury], None]:
    """Return a damage that is several."""

    def do(scratch: ScratchTreasury) -> None:
        for act in acts:
            act(scratch)

    return do


A, B, C = 100_000 - 1000 + 250, 100_000 + 1000 + 400, 100_000 - 250 - 400
"""What Alice, Bob and Carol have before the damage."""

DAMAGES: dict[str, Damage] = {
    "nothing": Damage(lambda _scratch: None, ()),
    "balance overwritten upwards": Damage(
        sql("shard-1", account(ALICE, "balance = balance + 7")),
        (Found(Check.BALANCE, ALICE, A, A + 7, Cause.OVERWRITTEN_BALANCE),),
    ),
    "balance overwritten downwards": Damage(
        sql("shard-1", account(ALICE, "balance = balance - 7")),
        (Found(Check.BALANCE, ALICE, A, A - 7, Cause.OVERWRITTEN_BALANCE),),
    ),
    "credit applied twice to the balance": Damage(
        sql("shard-2", account(BOB, "balance = balance + 1000")),
        (Found(Check.BALANCE, BOB, B, B + 1000, Cause.DUPLICATE_CREDIT),),
    ),
    "credit lost from the balance": Damage(
        sql("shard-2", account(BOB, "balance = balance - 400")),
        (Found(Check.BALANCE, BOB, B, B - 400, Cause.ORPHANED_DEBIT),),
    ),
    "two errors that cancel out": Damage(
        sql("shard-1", account(ALICE, "balance = balance + 7"), account(CAROL, "balance = balance - 7")),
        (Found(Check.BALANCE, ALICE, A, A + 7), Found(Check.BALANCE, CAROL, C, C - 7)),
    ),
    "account version ahead of its entries": Damage(
        sql("shard-1", account(ALICE, "version = version + 1")), (Found(Check.COMPLETENESS, ALICE, 4, 3),)
    ),
    "account version behind its entries": Damage(
        sql("shard-1", account(ALICE, "version = version - 1")), (Found(Check.COMPLETENESS, ALICE, 2, 3),)
    ),
    "newest entry renumbered": Damage(
        sql("shard-1", f"UPDATE entries SET version = 9 WHERE agent_id = '{ALICE}' AND version = 3"),
        (Found(Check.COMPLETENESS, ALICE, 3, 3),),
    ),
    "oldest entry renumbered to zero": Damage(
        sql("shard-1", f"UPDATE entries SET version = 0 WHERE agent_id = '{ALICE}' AND version = 1"),
        (Found(Check.COMPLETENESS, ALICE, 3, 3),),
    ),
    "running balance of the newest entry wrong": Damage(
        sql(
            "shard-1",
            f"UPDATE entries SET balance_after = balance_after + 5 WHERE agent_id = '{ALICE}' AND version = 3",
        ),
        (Found(Check.RUNNING_BALANCE, ALICE, A, A + 5),),
    ),
    "running balance of an entry in the middle wrong": Damage(
        sql(
            "shard-1",
            f"UPDATE entries SET balance_after = balance_after + 5 WHERE agent_id = '{ALICE}' AND version = 2",
        ),
        (
            Found(Check.RUNNING_BALANCE, ALICE, 99_000, 99_005),
            Found(Check.RUNNING_BALANCE, ALICE, A + 5, A),
        ),
    ),
    "running balance of the first entry wrong": Damage(
        sql(
            "shard-1",
            f"UPDATE entries SET balance_after = balance_after + 5 WHERE agent_id = '{ALICE}' AND version = 1",
        ),
        (
            Found(Check.RUNNING_BALANCE, ALICE, 100_000, 100_005),
            Found(Check.RUNNING_BALANCE, ALICE, 99_005, 99_000),
        ),
    ),
    "held without a hold": Damage(
        sql("shard-1", account(ALICE, "held = held + 5")), (Found(Check.HOLDS, ALICE, 0, 5),)
    ),
    "hold of a finished transaction": Damage(
        sql("shard-1", hold("{to-bob}", ALICE, -1000), account(ALICE, "held = 1000")),
        (Found(Check.HOLDS, ALICE, 0, 1000, Cause.COORDINATOR_FAILURE),),
        verified=(),
    ),
    "hold of a credit of a finished transaction": Damage(
        sql("shard-2", hold("{to-bob}", BOB, 1000)),
        (Found(Check.HOLDS, BOB, 0, 1000, Cause.COORDINATOR_FAILURE),),
        verified=(),
    ),
    "hold of a transaction that nobody started": Damage(
        sql("shard-1", hold("txn_none", ALICE, -30), account(ALICE, "held = 30")),
        (Found(Check.HOLDS, ALICE, 0, 30, Cause.COORDINATOR_FAILURE),),
        verified=(),
    ),
    "entry deleted": Damage(
        sql("shard-1", f"DELETE FROM entries WHERE agent_id = '{ALICE}' AND version = 3"),
        (
            Found(Check.BALANCE, ALICE, A - 250, A, Cause.JOURNAL_GAP),
            Found(Check.COMPLETENESS, ALICE, 3, 2),
            Found(Check.TRANSACTION, ALICE, 0, -250, Cause.ORPHANED_DEBIT),
            Found(Check.GLOBAL, "", 0, -250),
        ),
        verified=(
            Found(Check.BALANCE, ALICE, A - 250, A, Cause.JOURNAL_GAP),
            Found(Check.COMPLETENESS, ALICE, 3, 2),
        ),
    ),
    "account deleted": Damage(
        sql("shard-2", f"DELETE FROM accounts WHERE agent_id = '{BOB}'"),
        (Found(Check.BALANCE, BOB, B, 0), Found(Check.COMPLETENESS, BOB, 0, 3)),
    ),
    "credit never posted": Damage(
        sql(
            "shard-2",
            "DELETE FROM entries WHERE txn_id = '{carol-to-bob}'",
            account(BOB, "balance = balance - 400, version = version - 1"),
        ),
        (
            Found(Check.TRANSACTION, BOB, 0, -400, Cause.ORPHANED_DEBIT),
            Found(Check.GLOBAL, "", 0, -400),
        ),
        verified=(),
    ),
    "credit posted twice": Damage(
        sql(
            "shard-2",
            account(BOB, "balance = balance + 400, version = version + 1"),
            entry("txn_twice", BOB, 400, "4", str(B + 400)),
        ),
        (
            Found(Check.TRANSACTION, BOB, 0, 400, Cause.DUPLICATE_CREDIT),
            Found(Check.GLOBAL, "", 0, 400),
        ),
        verified=(),
    ),
    "debit posted twice": Damage(
        sql(
            "shard-1",
            account(ALICE, "balance = balance - 1000, version = version + 1"),
            entry("txn_twice", ALICE, -1000, "4", str(A - 1000)),
        ),
        (Found(Check.TRANSACTION, ALICE, 0, -1000, Cause.UNKNOWN), Found(Check.GLOBAL, "", 0, -1000)),
        verified=(),
    ),
    "entries that no transaction made but that sum to zero": Damage(
        sql(
            "shard-1",
            entry("txn_none", "@external", 5, "NULL", "NULL"),
            entry("txn_none", "@carbon", -5, "NULL", "NULL"),
        ),
        (Found(Check.TRANSACTION, "", 0, 0),),
        verified=(),
    ),
    "money from nowhere on a reserved owner": Damage(
        sql("shard-1", entry("txn_none", "@external", 5, "NULL", "NULL")),
        (Found(Check.TRANSACTION, "", 0, 5), Found(Check.GLOBAL, "", 0, 5)),
        verified=(),
    ),
    "opposite entry of a deposit deleted": Damage(
        sql("shard-2", "DELETE FROM entries WHERE agent_id = '@external'"),
        (Found(Check.TRANSACTION, "@external", 0, 100_000), Found(Check.GLOBAL, "", 0, 100_000)),
        verified=(),
    ),
    "entries of a transaction that was rolled back": Damage(
        sql("treasury", "UPDATE decisions SET decision = 'abort' WHERE txn_id = '{to-bob}'"),
        (Found(Check.TRANSACTION, ALICE, 0, 0),),
        verified=(),
    ),
    "more entries than branches": Damage(
        sql("treasury", f"DELETE FROM branches WHERE txn_id = '{{to-bob}}' AND participant = '{BOB}'"),
        (Found(Check.TRANSACTION, BOB, 0, 0),),
        verified=(),
    ),
    "credit posted to somebody else on the same shard": Damage(
        sql(
            "shard-1",
            "DELETE FROM entries WHERE txn_id = '{from-carol}' AND amount > 0",
            account(ALICE, "balance = balance - 250, version = version - 1"),
            "INSERT INTO accounts VALUES ('agent_9', 'USD', 250, 0, 1, 0)",
            entry("{from-carol}", "agent_9", 250, "1", "250"),
        ),
        (Found(Check.TRANSACTION, ALICE, 0, 0),),
        verified=(),
    ),
    "two entries made one": Damage(
        sql(
            "shard-1",
            f"DELETE FROM entries WHERE agent_id = '{ALICE}' AND version = 2",
            f"UPDATE entries SET amount = -750 WHERE agent_id = '{ALICE}' AND version = 3",
        ),
        (
            Found(Check.COMPLETENESS, ALICE, 3, 2),
            Found(Check.TRANSACTION, ALICE, 0, 1000, Cause.UNKNOWN),
            Found(Check.TRANSACTION, ALICE, 0, -1000),
        ),
        verified=(Found(Check.COMPLETENESS, ALICE, 3, 2),),
    ),
    "another amount posted on one side": Damage(
        sql(
            "shard-2",
            "UPDATE entries SET amount = 405, balance_after = balance_after + 5 WHERE txn_id = '{carol-to-bob}'",
            account(BOB, "balance = balance + 5"),
        ),
        (Found(Check.TRANSACTION, BOB, 0, 5), Found(Check.GLOBAL, "", 0, 5)),
        verified=(),
    ),
    "another amount posted on both sides": Damage(
        both(
            sql(
                "shard-1",
                "UPDATE entries SET amount = -405, balance_after = balance_after - 5 WHERE txn_id = '{carol-to-bob}'",
                account(CAROL, "balance = balance - 5"),
            ),
            sql(
                "shard-2",
                "UPDATE entries SET amount = 405, balance_after = balance_after + 5 WHERE txn_id = '{carol-to-bob}'",
                account(BOB, "balance = balance + 5"),
            ),
        ),
        (Found(Check.TRANSACTION, CAROL, 0, 0),),
        verified=(),
    ),
}
