"""The evidence about a transaction: a page of at most 80 columns, and the JSON form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from treasury_console.cli.output import BAD, CAUTION, GOOD, MUTED, Painted, paint, table, wrapped
from treasury_console.domain.durations import format_duration, iso_utc
from treasury_console.domain.resolution import Action, CoordinatorStatus, Requirement, Ruling, Verdict
from treasury_console.domain.text import safe_text
from treasury_console.domain.transactions import BranchState, TransactionState

if TYPE_CHECKING:
    from treasury_console.domain.accounts import Account
    from treasury_console.domain.money import Currencies
    from treasury_console.operations.transactions import Effect, Inspection
    from treasury_console.twophase.recovery import BranchOutcome

_LABEL = 16
_NAME_LIMIT = 24
_KEY = {Action.FORCE_COMMIT: "force_commit", Action.FORCE_ROLLBACK: "force_rollback", Action.RESUME: "resume"}


def state_colour(state: TransactionState) -> str:
    """Return the colour of a transaction's state."""
    if state in (TransactionState.COMMITTED, TransactionState.ABORTED):
        return GOOD
    return BAD if state is TransactionState.HEURISTIC else CAUTION


def branch_colour(state: BranchState) -> str:
    """Return the colour of a branch's state."""
    if state is BranchState.PREPARED:
        return CAUTION
    return BAD if state is BranchState.UNKNOWN else MUTED


def inspection_page(inspection: Inspection, currencies: Currencies) -> str:
    """Return the page. Long agent ids are cut in its tables and whole under "participants"."""
    sections = [
        _heading(inspection, currencies),
        _branches(inspection),
        _actions(inspection),
        _effects(inspection, currencies),
        _history(inspection),
        *_next_steps(inspection),
    ]
    return "\n\n".join(section for section in sections if section)


def inspection_document(inspection: Inspection, currencies: Currencies) -> dict[str, Any]:
    """Return the JSON form. An amount after an action is null while it is unknown."""
    record, transaction = inspection.record, inspection.record.transaction
    decision = record.decision
    damage = inspection.verdicts.damage
    return {
        "txn_id": transaction.txn_id,
        "state": inspection.state.value,
        "decision": decision.decision.value if decision else None,
        "decided_by": decision.decided_by if decision else None,
        "decided_at": iso_utc(decision.decided_at) if decision else None,
        "approval": decision.approval if decision else None,
        "amount": currencies.format(transaction.amount, transaction.currency),
        "currency": transaction.currency,
        "kind": transaction.kind.value,
        "reference": transaction.reference,
        "idempotency_key": transaction.idempotency_key,
        "created_at": iso_utc(transaction.created_at),
        "age_seconds": int(inspection.age.total_seconds()),
        "finished_at": iso_utc(record.finished_at) if record.finished_at else None,
        "coordinator": {
            "id": transaction.coordinator_id,
            "epoch": transaction.epoch,
            "alive": inspection.evidence.coordinator is CoordinatorStatus.ALIVE,
            "status": inspection.evidence.coordinator.value,
            "lease_until": iso_utc(record.lease_until),
            "fenced_by": record.fence.by if record.fence else None,
            "fenced_at": iso_utc(record.fence.at) if record.fence else None,
        },
        "branches": [
            {
                "participant": branch.participant,
                "shard": branch.shard,
                "state": branch.state.value,
                "vote": branch.vote.value if branch.vote else None,
                "detail": branch.detail,
            }
            for branch in inspection.evidence.branches
        ],
        "blocked": [],
        "actions": {_KEY[action]: _verdict_document(inspection.verdicts.of(action)) for action in Action},
        "effects": {
            _KEY[action]: [effect_document(effect, currencies) for effect in inspection.effects[action]]
            for action in Action
        },
        "damage": damage.value if damage else None,
        "fingerprint": inspection.fingerprint,
        "history": [
            {
                "seq": event.seq,
                "at": iso_utc(event.record.at),
                "actor": event.record.actor,
                "operation": event.record.operation,
                "phase": event.record.phase.value,
                "approval": event.record.approval,
            }
            for event in inspection.history
        ],
    }


def effect_document(effect: Effect, currencies: Currencies) -> dict[str, Any]:
    """Return the JSON form of what an action does to an account."""
    before, after = effect.before, effect.after
    return {
        "agent_id": effect.participant,
        "currency": effect.currency,
        "balance_before": _amount(before, "balance", currencies),
        "balance_after": _amount(after, "balance", currencies),
        "held_before": _amount(before, "held", currencies),
        "held_after": _amount(after, "held", currencies),
    }


def effects_table(effects: Sequence[Effect], currencies: Currencies) -> str:
    """Return balances and holds before -> after, one line per account."""
    return table(
        ("AGENT_ID", "CURRENCY", "BALANCE", "HELD"),
        [
            (
                safe_text(effect.participant, _NAME_LIMIT),
                effect.currency,
                _change(effect, "balance", currencies),
                _change(effect, "held", currencies),
            )
            for effect in effects
        ],
    )


def outcomes_table(outcomes: Sequence[BranchOutcome]) -> str:
    """Return how each branch ended, one line each, the reason where it did not."""
    return table(
        ("PARTICIPANT", "SHARD", "BRANCH", "DETAIL"),
        [
            (
                safe_text(outcome.participant, _NAME_LIMIT),
                safe_text(outcome.shard, _NAME_LIMIT),
                Painted(outcome.state.value, branch_colour(outcome.state)),
                outcome.detail,
            )
            for outcome in outcomes
        ],
    )


def _heading(inspection: Inspection, currencies: Currencies) -> str:
    record, transaction = inspection.record, inspection.record.transaction
    state = paint(inspection.state.value, state_colour(inspection.state))
    amount = currencies.format(transaction.amount, transaction.currency)
    lines = [
        f"{transaction.txn_id}  {state}, {format_duration(inspection.age)} old",
        _field("what", f"{transaction.kind.value} of {amount} {transaction.currency}"),
        _field("participants", ", ".join(transaction.participants)),
        _field("created", iso_utc(transaction.created_at)),
    ]
    if transaction.reference:
        lines.append(_field("reference", transaction.reference))
    if transaction.idempotency_key:
        lines.append(_field("idempotency key", transaction.idempotency_key))
    lines += [
        _field("coordinator", f"{transaction.coordinator_id}, epoch {transaction.epoch}, {_liveness(inspection)}"),
        _field("decision", _decision(inspection)),
    ]
    if record.finished_at is not None:
        lines.append(_field("finished", iso_utc(record.finished_at)))
    if inspection.verdicts.damage is not None:
        lines.append(_field("damage", inspection.verdicts.damage.value))
    lines.append(_field("blocked", "nobody: a hold keeps no lock"))
    lines.append(_field("fingerprint", inspection.fingerprint))
    return "\n".join(lines)


def _liveness(inspection: Inspection) -> str:
    record = inspection.record
    if record.fence is not None:
        return f"fenced by {record.fence.by} at {iso_utc(record.fence.at)}"
    if inspection.evidence.coordinator is CoordinatorStatus.ALIVE:
        return f"alive, its lease runs until {iso_utc(record.lease_until)}"
    return f"not alive, its lease ran out at {iso_utc(record.lease_until)}"


def _decision(inspection: Inspection) -> str:
    decision = inspection.record.decision
    if decision is None:
        return "none on record"
    approval = f", approval {decision.approval}" if decision.approval else ""
    return f"{decision.decision.value} by {decision.decided_by} at {iso_utc(decision.decided_at)}{approval}"


def _branches(inspection: Inspection) -> str:
    lines = [
        table(
            ("PARTICIPANT", "SHARD", "BRANCH", "VOTE"),
            [
                (
                    safe_text(branch.participant, _NAME_LIMIT),
                    safe_text(branch.shard, _NAME_LIMIT),
                    Painted(branch.state.value, branch_colour(branch.state)),
                    branch.vote.value if branch.vote else "none",
                )
                for branch in inspection.evidence.branches
            ],
        )
    ]
    lines += [
        wrapped(f"{safe_text(branch.participant, _NAME_LIMIT)}: {branch.detail}", label="  ", indent=2)
        for branch in inspection.evidence.branches
        if branch.detail
    ]
    return "\n".join(lines)


def _actions(inspection: Inspection) -> str:
    return "\n".join(_action(action, inspection.verdicts.of(action)) for action in Action)


def _action(action: Action, verdict: Verdict) -> str:
    needs = sorted(_need(requirement) for requirement in verdict.requires)
    answer = paint("allowed", GOOD) if verdict.allowed else paint("refused", BAD)
    lines = [
        f"{action.value.ljust(_LABEL)}{answer}, rule {verdict.row}" + (f"; needs {', '.join(needs)}" * bool(needs))
    ]
    lines += [wrapped(reason, label="", indent=_LABEL) for reason in verdict.reasons]
    return "\n".join(lines)


def _need(requirement: Requirement) -> str:
    return {
        Requirement.APPROVAL: "--approval INCIDENT",
        Requirement.ACKNOWLEDGE_LOG_LOST: "--acknowledge-log-lost",
    }[requirement]


def _effects(inspection: Inspection, currencies: Currencies) -> str:
    if inspection.record.finished_at is not None:
        return ""
    return "\n\n".join(
        f"{action.value} would do:\n{effects_table(inspection.effects[action], currencies)}"
        for action in Action
        if inspection.verdicts.of(action).ruling is Ruling.ALLOW
    )


def _history(inspection: Inspection) -> str:
    if not inspection.history:
        return ""
    lines = ["history"]
    for event in inspection.history:
        record = event.record
        approval = f", approval {record.approval}" if record.approval else ""
        text = f"{record.at:%Y-%m-%d %H:%M:%S}Z {record.operation} {record.phase.value} by {record.actor}{approval}"
        lines.append(wrapped(text, label="  ", indent=2))
    return "\n".join(lines)


def _next_steps(inspection: Inspection) -> list[str]:
    txn_id = inspection.record.transaction.txn_id
    if inspection.record.finished_at is not None:
        return []
    if inspection.verdicts.resume.allowed:
        return [f"next: treasury-cli transactions resume --txn-id {txn_id}"]
    return [
        f"next: treasury-cli transactions {action.value} \\\n        --txn-id {txn_id} --approval INCIDENT --dry-run"
        for action in (Action.FORCE_COMMIT, Action.FORCE_ROLLBACK)
        if inspection.verdicts.of(action).allowed
    ]


def _field(name: str, text: str) -> str:
    return wrapped(text, label=f"  {name}", indent=2 + _LABEL)


def _verdict_document(verdict: Verdict) -> dict[str, Any]:
    return {
        "allowed": verdict.allowed,
        "reasons": list(verdict.reasons),
        "rule": verdict.row,
        "requires": sorted(requirement.value for requirement in verdict.requires),
    }


def _change(effect: Effect, field: str, currencies: Currencies) -> str:
    before, after = _amount(effect.before, field, currencies), _amount(effect.after, field, currencies)
    if before is None or after is None:
        return f"{before or 'unknown'} -> unknown"
    return before if before == after else f"{before} -> {after}"


def _amount(account: Account | None, field: str, currencies: Currencies) -> str | None:
    if account is None:
        return None
    return currencies.format({"balance": account.balance, "held": account.held}[field], account.currency)
