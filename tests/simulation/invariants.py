"""The invariants, checked on what is stored: independent of the product's own checks.

I1 atomicity, I2 money, I3 holds, I4 decisions, I5 audit, I9 epochs; and R1: no branch ends before its decision is
durable. What needs more than one look (decisions and epochs over time, what clients were told) is kept in a Chronicle.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from .state import Row, State

_ENDED_AS = {"commit": "committed", "abort": "rolled-back"}


@dataclass
class Chronicle:
    """What was seen of each transaction since the schedule began."""

    legs: dict[str, list[Row]] = field(default_factory=dict)
    decisions: dict[str, str] = field(default_factory=dict)
    epochs: dict[str, int] = field(default_factory=dict)
    told: dict[str, str] = field(default_factory=dict)
    log_lost: set[str] = field(default_factory=set)
    forgotten: set[str] = field(default_factory=set)

    def copy(self) -> Chronicle:
        """Return a chronicle that goes on separately."""
        return Chronicle(
            dict(self.legs),
            dict(self.decisions),
            dict(self.epochs),
            dict(self.told),
            set(self.log_lost),
            set(self.forgotten),
        )

    def look(self, state: State) -> Iterator[str]:
        """Note what there is to see, and yield what contradicts what was seen before."""
        for txn_id, row in state.transactions.items():
            self.legs[txn_id] = state.branches.get(txn_id, [])
            if row["epoch"] < self.epochs.get(txn_id, 0):
                yield f"I9 the epoch of {txn_id} went back from {self.epochs[txn_id]} to {row['epoch']}"
            self.epochs[txn_id] = row["epoch"]
            if (row["epoch"] > 1) != (row["fenced_by"] is not None):
                yield f"I9 {txn_id} is at epoch {row['epoch']} and fenced by {row['fenced_by']}"
        for txn_id, rows in state.decisions.items():
            decision = rows[0]["decision"]
            before = self.decisions.get(txn_id)
            if before is not None and before != decision:
                yield f"I4 the decision on {txn_id} changed from {before} to {decision}"
            self.decisions[txn_id] = decision
        for txn_id, decision in self.decisions.items():
            if txn_id not in state.decisions and txn_id not in self.log_lost | self.forgotten:
                yield f"I4 the decision {decision} on {txn_id} vanished"
        for txn_id, told in self.told.items():
            recorded = self.decisions.get(txn_id)
            if recorded != told and not (recorded is None and txn_id in self.log_lost):
                yield f"I4 the client of {txn_id} was told {told}, and {recorded} is recorded"


def violations(state: State, chronicle: Chronicle, *, recovered: bool) -> list[str]:
    """Return which invariants `state` breaks; some hold only once everything is recovered."""
    found = list(chronicle.look(state))
    for txn_id in chronicle.legs:
        found += _of_transaction(state, chronicle, txn_id)
    found += _of_accounts(state)
    found += _of_holds(state, chronicle)
    found += _of_entries(state, chronicle)
    found += _of_audit(state)
    if recovered:
        found += _at_rest(state, chronicle)
    return found


def _of_transaction(state: State, chronicle: Chronicle, txn_id: str) -> Iterator[str]:
    """I1, I4 and R1."""
    legs = chronicle.legs[txn_id]
    ends = {state.outcomes.get((txn_id, leg["participant"])) for leg in legs} - {None}
    if len(ends) > 1:
        yield f"I1 {txn_id} has a committed and a rolled-back branch"
    decisions = state.decisions.get(txn_id, [])
    if len(decisions) > 1:
        yield f"I4 {txn_id} has {len(decisions)} decision rows"
    if decisions and not ends <= {_ENDED_AS[decisions[0]["decision"]]}:
        yield f"I4 {txn_id} was decided {decisions[0]['decision']}, and a branch is {', '.join(map(str, ends))}"
    if not decisions and ends and txn_id not in chronicle.log_lost | chronicle.forgotten:
        yield f"R1 a branch of {txn_id} ended before the decision was durable"
    record = state.transactions.get(txn_id)
    if record is None:
        if txn_id not in chronicle.forgotten:
            yield f"I4 the record of {txn_id} vanished"
        return
    states = {state.branch_state(txn_id, leg["participant"]) for leg in legs}
    if decisions and decisions[0]["decision"] == "commit" and "active" in states:
        yield f"I1 {txn_id} was decided commit, and a branch never prepared"
    ended = [state.branch_state(txn_id, leg["participant"]) in _ENDED_AS.values() for leg in legs]
    if record["finished_at"] is not None and not (decisions or txn_id in chronicle.log_lost):
        yield f"I4 {txn_id} is finished without a decision"
    if record["finished_at"] is not None and not all(ended):
        yield f"I8 {txn_id} is finished, and a branch has not ended"
    for leg, has_ended in zip(legs, ended, strict=True):
        if leg["confirmed_at"] is not None and not has_ended:
            yield f"I8 the end of {leg['participant']} in {txn_id} is confirmed, and the branch has not ended"


def _of_accounts(state: State) -> Iterator[str]:
    """I2 and I3 of each account: what is stored is what the journal and the holds add up to."""
    for (agent, currency), account in state.accounts.items():
        entries = [row for row in state.entries if (row["agent_id"], row["currency"]) == (agent, currency)]
        if account["balance"] != sum(row["amount"] for row in entries):
            yield f"I2 the balance of {agent} is {account['balance']}, its entries sum to something else"
        if sorted(row["version"] for row in entries) != list(range(1, account["version"] + 1)):
            yield f"I2 the versions of {agent} have gaps, or the account is not at the last of them"
        balance = 0
        for row in sorted(entries, key=lambda row: int(row["version"])):
            balance += row["amount"]
            if row["balance_after"] != balance:
                yield f"I2 the running balance of {agent} is wrong at version {row['version']}"
        held = sum(
            -row["amount"]
            for row in state.holds
            if (row["participant"], row["currency"]) == (agent, currency) and row["amount"] < 0
        )
        if account["held"] != held:
            yield f"I3 {agent} has {account['held']} held, its debit holds sum to {held}"
        if not 0 <= account["held"] <= account["balance"]:
            yield f"I3 {agent} has {account['held']} of a balance of {account['balance']} held"


def _of_holds(state: State, chronicle: Chronicle) -> Iterator[str]:
    """I3: every hold is of a live transaction's branch that has not ended."""
    for hold in state.holds:
        txn_id, participant = hold["txn_id"], hold["participant"]
        record = state.transactions.get(txn_id)
        legs = {leg["participant"]: leg for leg in chronicle.legs.get(txn_id, [])}
        if record is None or record["finished_at"] is not None:
            yield f"I3 a hold on {participant} belongs to no live transaction ({txn_id})"
        elif participant not in legs or legs[participant]["amount"] != hold["amount"]:
            yield f"I3 a hold on {participant} is not what {txn_id} asked for"
        if (txn_id, participant) in state.outcomes:
            yield f"I3 the branch of {participant} in {txn_id} has ended and still has a hold"


def _of_entries(state: State, chronicle: Chronicle) -> Iterator[str]:
    """I2: each committed branch is in the journal as asked for, once, and nothing else is."""
    expected: dict[tuple[str, str], int] = {}
    for txn_id, legs in chronicle.legs.items():
        for leg in legs:
            if state.outcomes.get((txn_id, leg["participant"])) == "committed":
                expected[txn_id, leg["participant"]] = leg["amount"]
                if leg["contra"] is not None:
                    expected[txn_id, leg["contra"]] = -leg["amount"]
    actual = {(row["txn_id"], row["agent_id"]): row["amount"] for row in state.entries}
    if actual != expected or len(actual) != len(state.entries):
        wrong = {key for key in actual.keys() | expected.keys() if actual.get(key) != expected.get(key)}
        yield f"I2 the journal is not what committed branches make of it: {sorted(wrong)}"


def _of_audit(state: State) -> Iterator[str]:
    """I5: no transaction without intent, no forced decision and no fence without their event, by the same actor."""
    by_target: dict[str, list[Row]] = {}
    for event in state.events:
        by_target.setdefault(event["target"], []).append(event)
    for txn_id, record in state.transactions.items():
        events = by_target.get(txn_id, [])
        if not any(event["phase"] == "intent" and event["operation"] == record["kind"] for event in events):
            yield f"I5 {txn_id} was created without an intent in the audit log"
        if record["fenced_by"] is not None and not _has_step(events, record["fenced_by"], "fenced", None):
            yield f"I5 {txn_id} was fenced by {record['fenced_by']} without an event"
        for row in state.decisions.get(txn_id, []):
            forced = row["approval"] is not None
            if forced and not _has_step(events, row["decided_by"], "decided", row["decision"]):
                yield f"I5 {row['decided_by']} decided {txn_id} without an event"
            if forced and record["fenced_by"] is None:
                yield f"I11 {row['decided_by']} decided {txn_id} without a fence"


def _has_step(events: list[Row], actor: str, step: str, decision: str | None) -> bool:
    for event in events:
        if event["actor"] == actor and event["phase"] == "step":
            details = json.loads(event["details"])
            if details.get("step") == step and details.get("decision") == decision:
                return True
    return False


def _at_rest(state: State, chronicle: Chronicle) -> Iterator[str]:
    """What must be true when nothing is in flight any more."""
    if state.holds or any(account["held"] for account in state.accounts.values()):
        yield "I3 a hold is left after recovery"
    totals: dict[str, int] = {}
    for row in state.entries:
        totals[row["currency"]] = totals.get(row["currency"], 0) + row["amount"]
    if any(totals.values()):
        yield f"I2 the journal does not sum to zero after recovery: {totals}"
    for txn_id, legs in chronicle.legs.items():
        if {state.branch_state(txn_id, leg["participant"]) for leg in legs} - set(_ENDED_AS.values()):
            yield f"I8 a branch of {txn_id} has not ended after recovery"
        record = state.transactions.get(txn_id)
        if record is not None and record["finished_at"] is None:
            yield f"I8 {txn_id} is not finished after recovery"
