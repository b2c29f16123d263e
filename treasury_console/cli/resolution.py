"""The result of a force or a resume: text, JSON and exit status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from treasury_console.cli.inspection import effect_document, effects_table, outcomes_table, state_colour
from treasury_console.cli.output import BAD, GOOD, paint, wrapped
from treasury_console.cli.verify import verification_table
from treasury_console.domain.durations import iso_utc
from treasury_console.domain.errors import ExitStatus
from treasury_console.domain.resolution import Action
from treasury_console.domain.text import safe_text

if TYPE_CHECKING:
    from treasury_console.domain.money import Currencies
    from treasury_console.operations.force import Resolution
    from treasury_console.operations.verification import Verification, VerifiedAccount

DRY_RUN = "dry-run"


def resolution_status(resolution: Resolution) -> ExitStatus:
    """Return DISCREPANCY if the money is wrong, PENDING if a branch or the proof is missing, else DONE."""
    if resolution.dry_run:
        return ExitStatus.DONE
    if resolution.verified is False:
        return ExitStatus.DISCREPANCY
    return ExitStatus.DONE if resolution.finished and resolution.verified else ExitStatus.PENDING


def resolution_document(resolution: Resolution, currencies: Currencies) -> dict[str, Any]:
    """Return the JSON form. `verified` is true only if every participant was checked and agrees."""
    decision = resolution.decision
    return {
        "txn_id": resolution.txn_id,
        "outcome": DRY_RUN if resolution.dry_run else resolution.state.value.lower(),
        "decision": decision.decision.value,
        "decided_by": decision.decided_by,
        "decided_at": iso_utc(decision.decided_at),
        "approval": decision.approval,
        "already_decided": resolution.already_decided,
        "branches": [
            {
                "participant": branch.participant,
                "shard": branch.shard,
                "state": branch.state.value,
                "detail": branch.detail,
            }
            for branch in resolution.branches
        ],
        "verified": bool(resolution.verified),
        "action": resolution.action.value,
        "state": resolution.state.value,
        "dry_run": resolution.dry_run,
        "effects": [effect_document(effect, currencies) for effect in resolution.effects],
    }


def resolution_page(resolution: Resolution, currencies: Currencies) -> str:
    """Return what was decided by whom, how each branch ended, what changed, and whether the balances agree."""
    lines = [_headline(resolution), _decision(resolution), "", outcomes_table(resolution.branches)]
    if resolution.effects:
        lines += ["", effects_table(resolution.effects, currencies)]
    if resolution.dry_run:
        return "\n".join(lines)
    if resolution.verification is not None:
        lines += ["", verification_table(_touched(resolution, resolution.verification), currencies)]
    return "\n".join([*lines, "", *_conclusion(resolution)])


def _touched(resolution: Resolution, verification: Verification) -> list[VerifiedAccount]:
    """Return the accounts in the transaction's currency, and any other that does not agree."""
    currencies = {effect.currency for effect in resolution.effects}
    return [account for account in verification.accounts if account.sums.currency in currencies or not account.ok]


def _headline(resolution: Resolution) -> str:
    state = paint(resolution.state.value, state_colour(resolution.state))
    if resolution.dry_run:
        return f"dry run of {resolution.action.value}: {resolution.txn_id} would be {state}; nothing was written"
    return f"{resolution.txn_id} is {state}"


def _decision(resolution: Resolution) -> str:
    decision = resolution.decision
    what, by, at = decision.decision.value, decision.decided_by, iso_utc(decision.decided_at)
    approval = f", approval {decision.approval}" if decision.approval else ""
    if resolution.already_decided and resolution.action is not Action.RESUME:
        return wrapped(f"already decided {what} by {by} at {at}{approval}")
    if resolution.dry_run:
        return wrapped(f"would record {what} by {by}{approval}")
    return wrapped(f"decided {what} by {by} at {at}{approval}")


def _conclusion(resolution: Resolution) -> list[str]:
    lines = []
    if not resolution.finished:
        lines.append(
            wrapped(
                "The decision is recorded, but not every branch has confirmed it: run treasury-cli transactions resume "
                f"--txn-id {safe_text(resolution.txn_id)} when its shard answers."
            )
        )
    if resolution.verified:
        lines.append(paint("verified: balances, journal and holds of every participant agree", GOOD))
    elif resolution.verified is False:
        lines.append(paint("NOT verified: a participant's balance, journal and holds disagree", BAD))
        lines.append("see treasury-cli verify, and reconcile --agent-id")
    else:
        lines.append("not verified yet: a shard did not answer; run treasury-cli verify when it does")
    return lines
