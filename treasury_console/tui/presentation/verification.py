"""The result of `verify` as lines: each account's balance beside what its journal and holds add up to."""

from __future__ import annotations

from treasury_console.domain.money import Currencies
from treasury_console.operations.verification import Verification, VerifiedAccount
from treasury_console.tui.lines import Line, Span, Tone, line
from treasury_console.tui.presentation.drift import figure
from treasury_console.tui.presentation.text import count, fact, money, name


def verification_lines(verification: Verification, currencies: Currencies) -> list[Line]:
    """Return the verdict on all accounts, then each account, those that drift first."""
    accounts = sorted(verification.accounts, key=lambda account: account.ok)
    wrong = sum(not account.ok for account in accounts)
    if not accounts:
        summary = line(Span("NO ACCOUNTS", Tone.WARN), "  These agents have no account to verify.")
    elif wrong:
        summary = line(Span("DRIFT", Tone.BAD), f"  {wrong} of {count(len(accounts), 'account')} do not agree.")
    else:
        summary = line(
            Span("VERIFIED", Tone.GOOD),
            f"  {count(len(accounts), 'account')}: balance = sum of entries, held = sum of holds, no entry missing.",
            indent=10,
        )
    return [summary, *[row for account in accounts for row in _account_lines(account, currencies)]]


def _account_lines(account: VerifiedAccount, currencies: Currencies) -> list[Line]:
    sums = account.sums

    def amount(minor: int) -> str:
        return money(currencies, minor, sums.currency)

    return [
        line(),
        line(
            Span("OK    " if account.ok else "DRIFT ", Tone.GOOD if account.ok else Tone.BAD),
            Span(f"{name(sums.agent_id)} {name(sums.currency)}", Tone.STRONG),
            Span(f"  on {name(account.shard)}", Tone.DIM),
        ),
        fact(
            "  Balance", amount(sums.balance), _comparison(sums.balance_matches, f"entries {amount(sums.entries_sum)}")
        ),
        fact("  Held", amount(sums.held), _comparison(sums.holds_match, f"holds {amount(sums.holds_sum)}")),
        fact(
            "  Entries",
            f"{sums.entries_count:,}",
            _comparison(sums.complete, f"account version {sums.version:,}"),
        ),
        *[
            line(
                Span(f"  {finding.check.value} {finding.check.name}: ", Tone.BAD),
                f"expected {figure(finding, finding.expected, currencies)}, "
                f"actual {figure(finding, finding.actual, currencies)}; "
                f"{'; '.join((finding.cause.value, *(name(evidence) for evidence in finding.evidence)))}",
                indent=4,
            )
            for finding in account.findings
        ],
    ]


def _comparison(same: bool, other: str) -> Span:
    return Span(f" = {other}", Tone.DIM) if same else Span(f" DIFFERS FROM {other}", Tone.BAD)
