"""What must be true of one command, whatever became of it: I4 to I7, I10 and I11."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from treasury_console.domain.errors import Fenced, InvalidRequest, TreasuryError, Unreachable
from treasury_console.domain.transactions import Decision, TransactionState
from treasury_console.operations.force import DecidedOtherwise, Resolution
from treasury_console.operations.payments import PaymentAborted, Receipt
from treasury_console.operations.transactions import Effect

from .acts import HOMES, Operate, Pay
from .invariants import Chronicle
from .performance import Ending, Performance
from .state import Row, State

_FENCE_COLUMNS = ("epoch", "fenced_by", "fenced_at")
_CONFIRMATION_COLUMNS = ("finished_at", "confirmed_at")


@dataclass(frozen=True)
class Foresight:
    """What a dry run foresaw: the refusal, or the effects on accounts and (for a force) how every branch ends."""

    refusal: TreasuryError | None = None
    effects: tuple[Effect, ...] = ()
    resolution: Resolution | None = None


def of_payment(act: Pay, performance: Performance, chronicle: Chronicle) -> Iterator[str]:
    """Check a client's payment, and note what the client was told."""
    events = performance.events
    txn_id = str(events[0]["target"]) if events else None
    error = performance.error
    if txn_id is None and performance.changed:
        yield f"I6 {performance.actor} created nothing and changed {performance.changed}"
    if isinstance(error, TreasuryError) and txn_id is not None:
        if not isinstance(error, PaymentAborted | Fenced | Unreachable):
            yield f"I6 {performance.actor} ended in {type(error).__name__} after its transaction was created"
        if isinstance(error, PaymentAborted):
            chronicle.told[error.txn_id] = Decision.ABORT.value
    if isinstance(performance.answer, Receipt):
        yield from _of_receipt(act, performance.after, performance.answer, chronicle)
    if txn_id is not None:
        for before, after in performance.stretches:
            yield from _of_zombie(txn_id, before, after)


def _of_receipt(act: Pay, state: State, receipt: Receipt, chronicle: Chronicle) -> Iterator[str]:
    record = state.transactions.get(receipt.txn_id)
    if record is None or record["idempotency_key"] != act.payment.key:
        yield f"I2 the payment {act.payment.key} was made outside its idempotency key"
        return
    if receipt.state in (TransactionState.COMMITTED, TransactionState.COMMITTING):
        chronicle.told[receipt.txn_id] = Decision.COMMIT.value
    ended = all(
        state.branch_state(receipt.txn_id, leg["participant"]) == "committed" for leg in state.branches[receipt.txn_id]
    )
    if receipt.state is TransactionState.COMMITTED and not ended:
        yield f"I4 the receipt says that {receipt.txn_id} is committed, and a branch is not"


def _of_zombie(txn_id: str, before: State, after: State) -> Iterator[str]:
    """I11: once fenced, a coordinator may only help to carry out what is recorded."""
    record = before.transactions.get(txn_id)
    if record is None or record["epoch"] == 1 or txn_id not in after.transactions:
        return
    unchanged = (
        _without([record], *_CONFIRMATION_COLUMNS) == _without([after.transactions[txn_id]], *_CONFIRMATION_COLUMNS)
        and _without(before.branches[txn_id], *_CONFIRMATION_COLUMNS)
        == _without(after.branches[txn_id], *_CONFIRMATION_COLUMNS)
        and before.decisions.get(txn_id) == after.decisions.get(txn_id)
    )
    if not unchanged:
        yield f"I11 a write of the fenced coordinator of {txn_id} was accepted"


def of_operator(act: Operate, txn_id: str, performance: Performance, *, faulty: bool) -> Iterator[str]:
    """Check an operator's command; `faulty` says that calls were lost while it ran."""
    phases = [row["phase"] for row in performance.events]
    if performance.changed and phases[:1] != ["intent"]:
        yield f"I5 {performance.actor} changed {performance.changed} without an intent in the audit log"
    if isinstance(performance.answer, Resolution):
        if phases[:1] != ["intent"] or phases[-1:] != ["outcome"] or "refused" in phases:
            yield f"I5 {performance.actor} succeeded, and its audit events are {phases}"
        yield from _of_resolution(act, txn_id, performance.after, performance.answer)
    elif performance.ending is Ending.REFUSED:
        if isinstance(performance.error, InvalidRequest) or phases[:1] != ["intent"] or phases[-1:] != ["refused"]:
            yield f"I5 {performance.actor} was refused, and its audit events are {phases}: {performance.error}"
        yield from _of_refusal(act, performance, interfered=faulty or bool(act.during))
        yield from _of_loser(act, txn_id, performance)


def _of_resolution(act: Operate, txn_id: str, state: State, resolution: Resolution) -> Iterator[str]:
    rows = state.decisions.get(txn_id, [])
    recorded = (rows[0]["decision"], rows[0]["decided_by"]) if rows else None
    stated = (resolution.decision.decision.value, resolution.decision.decided_by)
    if stated != recorded:
        yield f"I4 {act.action.value} answers {stated}, and {recorded} is recorded"
    if act.action.decision not in (None, resolution.decision.decision):
        yield f"I4 {act.action.value} of {txn_id} ended as {resolution.decision.decision.value}"
    for outcome in resolution.branches:
        real = state.branch_state(txn_id, outcome.participant)
        if outcome.state.value not in (real, "unknown"):
            yield f"I4 {outcome.participant} is reported {outcome.state.value} and is {real}"
    if resolution.finished and state.transactions[txn_id]["finished_at"] is None:
        yield f"I8 {txn_id} is reported finished and is not"
    if resolution.verified is False:
        yield f"I2 verification after {act.action.value} of {txn_id} failed"


def _of_refusal(act: Operate, performance: Performance, *, interfered: bool) -> Iterator[str]:
    """I6: a refusal changes nothing, save a fence before a second look that somebody's interference turned bad."""
    for before, after in performance.stretches:
        for table in before.differences(after):
            fence_only = table == "treasury.transactions" and (
                _without(before.transactions.values(), *_FENCE_COLUMNS)
                == _without(after.transactions.values(), *_FENCE_COLUMNS)
            )
            if not (fence_only and interfered):
                yield f"I6 {act.action.value} was refused and changed {table}: {performance.error}"


def _of_loser(act: Operate, txn_id: str, performance: Performance) -> Iterator[str]:
    """The loser of a race is told what was decided, by whom and when; agreeing with the winner is no loss."""
    message, rows = str(performance.error), performance.after.decisions.get(txn_id)
    if isinstance(performance.error, DecidedOtherwise):
        if not rows or rows[0]["decided_by"] not in message or rows[0]["decision"] not in message:
            yield f"I4 the loser was told {message}, and {rows} is recorded"
    elif rows and act.action.decision is not None and act.fence_approval and not act.fingerprint:
        yield f"I4 {act.action.value} was refused, and not by naming who decided {rows[0]['decision']}: {message}"


def of_foresight(performance: Performance, foreseen: Foresight, down: Iterable[str]) -> Iterator[str]:
    """I10: what the dry run said is what happened, when nothing changed in between."""
    if foreseen.refusal is not None:
        if repr(foreseen.refusal) != repr(performance.error):
            yield f"I10 the dry run was refused ({foreseen.refusal}), the act went otherwise: {performance.error}"
        return
    if not isinstance(performance.answer, Resolution):
        return
    if foreseen.resolution is not None and _ends(foreseen.resolution) != _ends(performance.answer):
        yield f"I10 the dry run foresaw {_ends(foreseen.resolution)}, and it ended as {_ends(performance.answer)}"
    for effect in foreseen.effects:
        row = performance.after.accounts[effect.participant, effect.currency]
        real = (row["balance"], row["held"], row["version"])
        if effect.after is None:
            if HOMES[effect.participant] not in down:
                yield f"I10 the dry run did not foresee what becomes of {effect.participant}"
        elif real != (effect.after.balance, effect.after.held, effect.after.version):
            yield f"I10 the dry run foresaw {effect.after} and it became {real}"


def _ends(resolution: Resolution) -> tuple[object, ...]:
    branches = [(branch.participant, branch.state.value) for branch in resolution.branches]
    return (resolution.state.value, resolution.decision.decision.value, resolution.already_decided, *branches)


def of_repetition(act: Pay | Operate, settled: State, performance: Performance) -> Iterator[str]:
    """I7: a command given again, when all is settled, is answered as it was and decides nothing."""
    if isinstance(act, Operate):
        if isinstance(performance.answer, Resolution) and not performance.answer.already_decided:
            yield f"I7 {act.action.value} claims to have decided a transaction that was decided before"
        return
    txn_id = settled.by_key(act.payment.key)
    if txn_id is None:
        return
    if not act.payment.drain and not _is_request(act, settled, txn_id):
        if performance.ending is not Ending.REFUSED or "a different request" not in str(performance.error):
            yield f"I7 another request under the key {act.payment.key} was not refused: {performance.answer}"
    elif settled.decisions[txn_id][0]["decision"] == Decision.COMMIT.value:
        if not (isinstance(performance.answer, Receipt) and performance.answer.replayed):
            yield f"I7 the payment {act.payment.key} was not answered by its first receipt: {performance.error}"
    elif not isinstance(performance.error, PaymentAborted):
        yield f"I7 the payment {act.payment.key} failed for good and now is {performance.ending.value}"


def _is_request(act: Pay, state: State, txn_id: str) -> bool:
    legs = {(leg["participant"], leg["amount"]) for leg in state.branches[txn_id]}
    return state.transactions[txn_id]["kind"] == act.payment.kind.value and legs == set(act.payment.legs)


def _without(rows: Iterable[Row], *columns: str) -> list[Row]:
    return [{name: value for name, value in row.items() if name not in columns} for row in rows]
