"""The evidence about one transaction as lines: first what may be done, then why, then what it would do."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from treasury_console.domain.audit import AuditEvent, DetailValue
from treasury_console.domain.money import Currencies
from treasury_console.domain.resolution import Action, CoordinatorStatus, Requirement, Ruling, Verdict
from treasury_console.domain.transactions import BranchState
from treasury_console.operations.transactions import Effect, Inspection
from treasury_console.tui.lines import Line, Span, Tone, line
from treasury_console.tui.presentation.pending import STATE_TONE, verdict_word
from treasury_console.tui.presentation.text import age, columns, fact, heading, money, name, utc

BRANCH_TONE = {
    BranchState.PREPARED: Tone.WARN,
    BranchState.COMMITTED: Tone.GOOD,
    BranchState.ROLLED_BACK: Tone.PLAIN,
    BranchState.ACTIVE: Tone.PLAIN,
    BranchState.UNKNOWN: Tone.BAD,
}

_COORDINATOR_WORDS = {
    CoordinatorStatus.ALIVE: Span("ALIVE", Tone.WARN),
    CoordinatorStatus.LAPSED: Span("NOT ALIVE, its lease ran out", Tone.PLAIN),
    CoordinatorStatus.FENCED: Span("FENCED, it can no longer write", Tone.PLAIN),
}

_RULING_HINT = {Ruling.RESUME: " (already decided so: applies it)"}


def inspection_lines(
    inspection: Inspection, currencies: Currencies, now: datetime, keys: Mapping[Action, str]
) -> list[Line]:
    """Return everything known about the transaction; `keys` start the actions."""
    return [
        *subject_lines(inspection, currencies, now),
        line(),
        heading("What may be done"),
        *[row for action in Action for row in verdict_lines(inspection.verdicts.of(action), action, keys[action])],
        *_damage(inspection),
        line(),
        *branch_lines(inspection),
        line(),
        *_record_lines(inspection, now),
        line(),
        heading("What it would do"),
        *_all_effects(inspection, currencies),
        line(),
        heading("History"),
        *_history_lines(inspection),
    ]


def subject_lines(inspection: Inspection, currencies: Currencies, now: datetime) -> list[Line]:
    """Return in two lines which transaction this is and how it stands."""
    transaction = inspection.record.transaction
    return [
        line(
            Span(name(transaction.txn_id), Tone.STRONG),
            "  ",
            Span(inspection.state.value, STATE_TONE.get(inspection.state, Tone.PLAIN)),
            Span(f" for {age(transaction.created_at, now)}", Tone.PLAIN),
            Span(f"  since {utc(transaction.created_at)}", Tone.DIM),
        ),
        line(
            f"{money(currencies, transaction.amount, transaction.currency)} {name(transaction.currency)} "
            f"{transaction.kind.value}: ",
            ", ".join(
                f"{name(branch.participant)} {_signed(money(currencies, branch.amount, transaction.currency))}"
                for branch in transaction.branches
            ),
            indent=2,
        ),
    ]


def verdict_lines(verdict: Verdict, action: Action, key: str = "") -> list[Line]:
    """Return the verdict on one action with its reasons; refused ones are dim and say REFUSED."""
    tone = Tone.PLAIN if verdict.allowed else Tone.DIM
    label = f"  {key} {action.value:<15}" if key else f"{action.value} "
    needs = ""
    if Requirement.ACKNOWLEDGE_LOG_LOST in verdict.requires:
        needs = " (also needs the acknowledgement that the log lost a decision)"
    return [
        line(
            Span(label, Tone.STRONG if verdict.allowed else Tone.DIM),
            verdict_word(verdict),
            Span(f"  {' '.join(verdict.reasons)}{needs}{_RULING_HINT.get(verdict.ruling, '')}", tone),
            indent=len(label) + 9,
        )
    ]


def branch_lines(inspection: Inspection) -> list[Line]:
    """Return each branch with its state at its shard and its logged vote."""
    branches = inspection.evidence.branches
    widths = (
        min(max([len("PARTICIPANT"), *(len(name(branch.participant)) for branch in branches)]), 28),
        min(max([len("SHARD"), *(len(name(branch.shard)) for branch in branches)]), 16),
        len("rolled-back"),
        len("VOTE"),
    )
    rows = [
        columns(
            *zip(("PARTICIPANT", "SHARD", "STATE", "VOTE"), widths, strict=True),
            tone=Tone.DIM,
            rest="DETAIL",
        )
    ]
    for branch in branches:
        vote = branch.vote.value if branch.vote else "-"
        cells = (name(branch.participant), name(branch.shard), branch.state.value, vote)
        rows.append(columns(*zip(cells, widths, strict=True), tone=BRANCH_TONE[branch.state], rest=name(branch.detail)))
    return [heading("Branches, as their shards show them"), *rows]


def effect_lines(effects: tuple[Effect, ...], currencies: Currencies) -> list[Line]:
    """Return what an action does to each account, before -> after."""
    rows = []
    for effect in effects:
        who = Span(f"    {name(effect.participant)}  ")
        if effect.before is None:
            rows.append(line(who, Span("the shard does not answer, so this is not known", Tone.BAD), indent=6))
            continue
        if effect.after is None:
            rows.append(line(who, Span("cannot be predicted; verify this agent first", Tone.BAD), indent=6))
            continue
        code = effect.currency
        rows.append(
            line(
                who,
                _change("balance", effect.before.balance, effect.after.balance, code, currencies),
                "  ",
                _change("held", effect.before.held, effect.after.held, code, currencies),
                indent=6,
            )
        )
    return rows


def _change(what: str, before: int, after: int, code: str, currencies: Currencies) -> Span:
    old = money(currencies, before, code)
    if before == after:
        return Span(f"{what} {old} unchanged", Tone.DIM)
    return Span(f"{what} {old} -> {money(currencies, after, code)} {name(code)}", Tone.PLAIN)


def _all_effects(inspection: Inspection, currencies: Currencies) -> list[Line]:
    rows: list[Line] = []
    for action in Action:
        if inspection.verdicts.of(action).allowed:
            rows.append(line(f"  {action.value}"))
            rows += effect_lines(inspection.effects[action], currencies)
    return rows or [line(Span("  Nothing: every action is refused.", Tone.DIM))]


def _damage(inspection: Inspection) -> list[Line]:
    damage = inspection.verdicts.damage
    if damage is None:
        return []
    return [line(Span(f"  DAMAGED: {damage.value}", Tone.BAD), " (heuristic outcome; atomicity is broken or at risk)")]


def _record_lines(inspection: Inspection, now: datetime) -> list[Line]:
    record = inspection.record
    transaction, decision = record.transaction, record.decision
    decided: list[str | Span] = [Span("none is recorded", Tone.PLAIN)]
    if decision is not None:
        approval = f", approval {name(decision.approval)}" if decision.approval else ""
        decided = [
            Span(decision.decision.value, Tone.STRONG),
            f" by {name(decision.decided_by)} at {utc(decision.decided_at)}{approval}",
        ]
    rows = [
        fact("Decision", *decided),
        fact(
            "Coordinator",
            _COORDINATOR_WORDS[inspection.evidence.coordinator],
            f"; {name(transaction.coordinator_id)}, epoch {transaction.epoch}, lease until {utc(record.lease_until)}",
        ),
    ]
    if record.fence is not None:
        rows.append(fact("Fenced", f"by {name(record.fence.by)} at {utc(record.fence.at)}"))
    if record.finished_at is not None:
        rows.append(fact("Finished", f"{utc(record.finished_at)}, {age(record.finished_at, now)} ago"))
    return [
        *rows,
        fact("Reference", name(transaction.reference) or Span("none", Tone.DIM)),
        fact("Idempotency", name(transaction.idempotency_key or "") or Span("no key", Tone.DIM)),
        fact("Evidence", Span(f"fingerprint {inspection.fingerprint}", Tone.DIM)),
    ]


def _history_lines(inspection: Inspection) -> list[Line]:
    return [_event_line(event) for event in inspection.history] or [line(Span("  No audit event.", Tone.DIM))]


def _event_line(event: AuditEvent) -> Line:
    record = event.record
    details = " ".join(f"{name(key)}={_detail(value)}" for key, value in sorted(record.details.items()) if value)
    approval = f" {name(record.approval)}" if record.approval else ""
    return line(
        Span(f"  {utc(record.at)} ", Tone.DIM),
        Span(f"{record.operation} {record.phase.value}", Tone.PLAIN),
        f"{approval} by {name(record.actor)} ",
        Span(details, Tone.DIM),
        indent=6,
    )


def _detail(value: DetailValue) -> str:
    if isinstance(value, list):
        return ",".join(name(part) for part in value)
    return name(str(value))


def _signed(amount: str) -> str:
    return amount if amount.startswith("-") else f"+{amount}"
