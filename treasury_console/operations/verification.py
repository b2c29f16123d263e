"""`verify`: prove, agent by agent, that balance, journal and holds agree (checks B1, B2, B3, H1; tolerance zero)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

from treasury_console.domain.drift import Check, Finding, classify_balance_drift
from treasury_console.domain.errors import InvalidRequest
from treasury_console.domain.money import Currencies
from treasury_console.ledger.database import Connection
from treasury_console.ledger.journal import (
    AccountSums,
    RunningBalanceBreak,
    account_sums,
    entries_with_amount,
    entries_without_account,
    running_balance_breaks,
)
from treasury_console.operations.accounts import locate_agents, shard_of_agent
from treasury_console.operations.treasury import Treasury


@dataclass(frozen=True, slots=True)
class VerifiedAccount:
    """An account, what its journal and holds add up to, and what does not agree."""

    shard: str
    sums: AccountSums
    findings: tuple[Finding, ...] = field(default=())

    @property
    def ok(self) -> bool:
        """True when every check passed."""
        return not self.findings


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of `verify`."""

    accounts: tuple[VerifiedAccount, ...]

    @property
    def ok(self) -> bool:
        """True when every account passed."""
        return all(account.ok for account in self.accounts)


def verify_agents(treasury: Treasury, agent_ids: Sequence[str]) -> Verification:
    """Check every account of the agents, each shard in one snapshot.

    Raise UnknownId for an agent that does not exist, Unreachable when a shard does not answer.
    """
    if not agent_ids:
        raise InvalidRequest("name at least one agent to verify")
    wanted = list(dict.fromkeys(agent_ids))
    shards = locate_agents(treasury, wanted)
    verified: list[VerifiedAccount] = []
    for name in sorted(set(shards.values())):
        here = [agent_id for agent_id in wanted if shards[agent_id] == name]
        with shard_of_agent(treasury, here[0], name).database.snapshot() as connection:
            verified += verify_accounts(connection, treasury.settings.currencies, name, here)
    return Verification(tuple(sorted(verified, key=lambda row: (row.sums.agent_id, row.sums.currency))))


def verify_accounts(
    connection: Connection, currencies: Currencies, shard: str, agent_ids: Sequence[str]
) -> list[VerifiedAccount]:
    """Return every account of `agent_ids` on this shard, checked in the caller's snapshot."""
    breaks: dict[tuple[str, str], list[RunningBalanceBreak]] = {}
    for broken in running_balance_breaks(connection, agent_ids=agent_ids):
        breaks.setdefault((broken.agent_id, broken.currency), []).append(broken)
    return [
        VerifiedAccount(
            shard,
            sums,
            (
                *account_findings(connection, currencies, sums),
                *(running_balance_finding(broken) for broken in breaks.get((sums.agent_id, sums.currency), [])),
            ),
        )
        for sums in itertools.chain(
            account_sums(connection, agent_ids=agent_ids), entries_without_account(connection, agent_ids=agent_ids)
        )
    ]


def account_findings(connection: Connection, currencies: Currencies, sums: AccountSums) -> list[Finding]:
    """Return what B1, B2 and H1 find on one account; as of the cut the sums were taken with."""
    found = []
    agent, currency = sums.agent_id, sums.currency
    if not sums.balance_matches:
        drift = sums.balance - sums.entries_sum
        candidates = entries_with_amount(connection, agent, currency, [drift, -drift])
        cause, score, evidence = classify_balance_drift(
            drift, currencies[currency], completeness_broken=not sums.complete, candidates=candidates
        )
        found.append(
            Finding(
                Check.BALANCE,
                agent,
                currency,
                expected=sums.entries_sum - sums.entries_after_cut,
                actual=sums.balance - sums.entries_after_cut,
                cause=cause,
                score=score,
                evidence=evidence,
            )
        )
    if not sums.complete:
        found.append(
            Finding(
                Check.COMPLETENESS,
                agent,
                currency,
                expected=sums.version,
                actual=sums.entries_count,
                evidence=(
                    f"account version {sums.version}, entries {sums.entries_count}, "
                    f"highest entry version {sums.highest_version}",
                ),
            )
        )
    if not sums.holds_match:
        found.append(Finding(Check.HOLDS, agent, currency, expected=sums.holds_sum, actual=sums.held))
    return found


def running_balance_finding(broken: RunningBalanceBreak) -> Finding:
    """Return the finding of one entry that breaks B3."""
    return Finding(
        Check.RUNNING_BALANCE,
        broken.agent_id,
        broken.currency,
        expected=broken.expected,
        actual=broken.actual,
        evidence=(f"entry version {broken.version} of {broken.txn_id}",),
        subject=f"version {broken.version}",
    )
