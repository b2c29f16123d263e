"""The guided resolution as lines: what each step asks, and how the act ended."""

from __future__ import annotations

from datetime import datetime

from treasury_console.domain.money import Currencies
from treasury_console.domain.resolution import Action, Requirement
from treasury_console.domain.text import safe_text
from treasury_console.domain.transactions import Decision, TransactionState
from treasury_console.ledger.journal import AccountSums
from treasury_console.operations.force import Resolution
from treasury_console.operations.transactions import Effect, Inspection
from treasury_console.tui.lines import Line, Span, Tone, line
from treasury_console.tui.presentation.inspection import branch_lines, effect_lines, subject_lines, verdict_lines
from treasury_console.tui.presentation.text import heading, money, name, utc

CONFIRMATION = {Action.FORCE_COMMIT: "commit", Action.FORCE_ROLLBACK: "rollback", Action.RESUME: "resume"}
ACKNOWLEDGEMENT = "log lost"

_DONE_WORD = {Decision.COMMIT: "COMMITTED", Decision.ABORT: "ROLLED BACK"}


def evidence_lines(
    inspection: Inspection, action: Action, effects: tuple[Effect, ...], currencies: Currencies, now: datetime
) -> list[Line]:
    """Return what the decision rests on, and what the action would do, as its dry run says."""
    return [
        *subject_lines(inspection, currencies, now),
        line(),
        *verdict_lines(inspection.verdicts.of(action), action),
        line(),
        heading("What it would do"),
        *effect_lines(effects, currencies),
        line(),
        *branch_lines(inspection),
        line(),
        *_idempotency(inspection, action),
        line(Span(f"Evidence fingerprint {inspection.fingerprint}", Tone.DIM)),
    ]


def evidence_question(action: Action) -> list[Line]:
    """Return what the first step asks."""
    return [
        line(Span("Is this what you expect?", Tone.STRONG)),
        line(f"Enter goes on{'' if action is Action.RESUME else ' to the approval'}; nothing is done yet. Esc leaves."),
    ]


def incident_question(action: Action) -> list[Line]:
    """Return what the approval step asks."""
    return [line(Span(f"Which incident approves this {action.value}?", Tone.STRONG), "  Type its ID, then Enter.")]


def incident_hint(problem: str | None, typed: str) -> list[Line]:
    """Return whether what was typed is an incident ID."""
    if problem is None:
        return [line(Span("OK", Tone.GOOD), " well formed; it goes into the audit trail.")]
    if not typed:
        return [line(Span(problem.partition("; ")[2], Tone.DIM))]
    return [line(Span(problem.partition(" is ")[2], Tone.WARN))]


def typed_hint(word: str, typed: str) -> list[Line]:
    """Return whether what was typed is the word that the step asks for."""
    if typed == word:
        return [line(Span("Enter does it.", Tone.WARN))]
    return [line(Span(f"type {word}", Tone.DIM))]


def cancel_hint() -> list[Line]:
    """Return what Enter does on Cancel, where the confirmation begins."""
    return [line(Span("Enter cancels; Tab goes on", Tone.DIM))]


def acknowledgement_question() -> list[Line]:
    """Return what the acknowledgement step asks."""
    return [
        line(Span("The coordinator's log lost a decision.", Tone.BAD), " A branch has ended, yet none is on record."),
        line("If you have checked that, type ", Span(ACKNOWLEDGEMENT, Tone.STRONG), " and press Enter. Esc leaves."),
    ]


def confirmation_question(
    inspection: Inspection, action: Action, incident_id: str, currencies: Currencies
) -> list[Line]:
    """Return what the last step asks."""
    transaction = inspection.record.transaction
    amount = f"{money(currencies, transaction.amount, transaction.currency)} {name(transaction.currency)}"
    approval = f" under {name(incident_id)}" if incident_id else ""
    return [
        line(
            Span(f"{action.value} {name(transaction.txn_id)}", Tone.STRONG),
            f", {amount}{approval}. This cannot be undone.",
        ),
        line(
            "To do it: Tab, type ",
            Span(CONFIRMATION[action], Tone.STRONG),
            ", Enter. Esc leaves.",
        ),
    ]


def progress_lines(action: Action, txn_id: str, steps: list[str]) -> list[Line]:
    """Return how far the act is."""
    return [
        line(Span(f"{action.value} of {name(txn_id)} is running", Tone.STRONG)),
        *[line(f"  {name(step)}") for step in steps],
    ]


def result_lines(resolution: Resolution, currencies: Currencies) -> list[Line]:
    """Return how the act ended: the decision and whose it is, each branch, the verified balances."""
    decision = resolution.decision
    approval = f", approval {name(decision.approval)}" if decision.approval else ""
    already = "It was on record already and has been applied. " if resolution.already_decided else ""
    return [
        _outcome(resolution),
        line(
            f"{already}Decided {decision.decision.value} by {name(decision.decided_by)} at {utc(decision.decided_at)}"
            f"{approval}.",
            indent=2,
        ),
        line(),
        heading("Branches"),
        *[
            line(f"  {name(branch.participant)} on {name(branch.shard)}: {branch.state.value}", _detail(branch.detail))
            for branch in resolution.branches
        ],
        line(),
        *_balances(resolution, currencies),
    ]


def result_question(resolution: Resolution) -> list[Line]:
    """Return what the operator should know when leaving."""
    if resolution.finished and resolution.verified:
        return [line(Span("Done.", Tone.GOOD), " Enter goes back.")]
    if resolution.finished:
        return [line(Span("The transaction has ended, but verify its participants.", Tone.WARN), " Enter goes back.")]
    return [
        line(Span("Not final yet:", Tone.WARN), " a shard has not confirmed. Resume it when the shard answers."),
        line("Enter goes back."),
    ]


def failure_lines(sentence: str, *, outcome_known: bool) -> list[Line]:
    """Return why nothing was done, or that the outcome has to be looked up."""
    rows = [
        line(Span("NOT DONE" if outcome_known else "OUTCOME UNKNOWN", Tone.BAD)),
        line(safe_text(sentence), indent=2),
    ]
    if not outcome_known:
        rows.append(line("Inspect the transaction: if a decision is on record, resume it; forcing it again is safe."))
    return rows


def failure_question() -> list[Line]:
    """Return what ends a resolution that did nothing."""
    return [line("Enter goes back.")]


def needs_acknowledgement(inspection: Inspection, action: Action) -> bool:
    """Say whether the table asks for the acknowledgement that the log lost a decision."""
    return Requirement.ACKNOWLEDGE_LOG_LOST in inspection.verdicts.of(action).requires


def _idempotency(inspection: Inspection, action: Action) -> list[Line]:
    """Return the key by which a client's second attempt would be known, where committing could pay twice."""
    if action is not Action.FORCE_COMMIT or inspection.record.decision is not None:
        return []
    key = inspection.record.transaction.idempotency_key
    value = Span(name(key)) if key else Span("none: a client that saw a failure may have sent it again", Tone.WARN)
    return [line(Span("Idempotency key ", Tone.DIM), value, indent=2)]


def _outcome(resolution: Resolution) -> Line:
    txn_id = Span(f"  {name(resolution.txn_id)}", Tone.STRONG)
    if resolution.finished:
        return line(Span(_DONE_WORD[resolution.decision.decision], Tone.GOOD), txn_id)
    tone = Tone.BAD if resolution.state is TransactionState.HEURISTIC else Tone.WARN
    return line(Span(resolution.state.value, tone), txn_id)


def _balances(resolution: Resolution, currencies: Currencies) -> list[Line]:
    """Return each participant's account before the act and, as verified, after it."""
    verification = resolution.verification
    if verification is None:
        return [
            heading("Balances"),
            line(Span("  NOT VERIFIED: a shard did not answer. What was predicted:", Tone.WARN)),
            *effect_lines(resolution.effects, currencies),
        ]
    checked = {(account.sums.agent_id, account.sums.currency): account for account in verification.accounts}
    rows = []
    for effect in resolution.effects:
        account = checked.get((effect.participant, effect.currency))
        if account is None:
            rows.append(line(f"    {name(effect.participant)}  ", Span("has no account", Tone.BAD)))
            continue
        rows.append(_balance_line(effect, account.sums, account.ok, currencies))
    verdict = Span("VERIFIED", Tone.GOOD) if verification.ok else Span("DRIFT FOUND", Tone.BAD)
    meaning = ": balance = sum of entries, held = sum of holds" if verification.ok else ": verify and investigate them"
    return [line(Span("Balances ", Tone.HEADING), verdict, Span(meaning, Tone.DIM)), *rows]


def _balance_line(effect: Effect, sums: AccountSums, ok: bool, currencies: Currencies) -> Line:
    code = effect.currency
    before = effect.before
    old_balance = "?" if before is None else money(currencies, before.balance, code)
    old_held = "?" if before is None else money(currencies, before.held, code)
    return line(
        Span("  OK    " if ok else "  DRIFT ", Tone.GOOD if ok else Tone.BAD),
        f"{name(effect.participant)}  balance {old_balance} -> {money(currencies, sums.balance, code)} {name(code)}  "
        f"held {old_held} -> {money(currencies, sums.held, code)}",
        indent=8,
    )


def _detail(detail: str) -> Span:
    return Span(f" ({name(detail)})" if detail else "", Tone.DIM)
