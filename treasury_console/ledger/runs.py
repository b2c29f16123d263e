"""Reconciliation runs and their findings, as recorded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select

from treasury_console.domain.drift import Cause, Check, Finding, RunStatus
from treasury_console.ledger.treasury_tables import findings, reconciliation_runs


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A finished run. `subject` is the agent of a spot check, else empty; `in_flight` counts explained transactions."""

    run_id: str
    scope: str
    subject: str
    as_of: datetime
    started_at: datetime
    finished_at: datetime
    status: RunStatus
    agents_checked: int
    entries_checked: int
    in_flight: int
    actor: str


def record_run(connection: Connection, run: RunRecord, found: Sequence[Finding]) -> None:
    """Store the run and its findings, all or nothing."""
    connection.execute(
        insert(reconciliation_runs).values(
            {name: getattr(run, name) for name in RunRecord.__dataclass_fields__} | {"status": run.status.value}
        )
    )
    if found:
        connection.execute(
            insert(findings),
            [
                {
                    "run_id": run.run_id,
                    "finding_id": finding.finding_id,
                    "check_id": finding.check.value,
                    "agent_id": finding.agent_id,
                    "currency": finding.currency,
                    "subject": finding.subject,
                    "expected": finding.expected,
                    "actual": finding.actual,
                    "cause": finding.cause.value,
                    "score": finding.score,
                    "evidence": json.dumps(finding.evidence),
                }
                for finding in found
            ],
        )


def latest_run(connection: Connection, *, scope: str | None = None, as_of_then: bool = False) -> RunRecord | None:
    """Return the run that finished last (of `scope`, if given), or None before the first.

    `as_of_then` leaves out runs that state the balances of a day before the run.
    """
    query = select(reconciliation_runs).order_by(reconciliation_runs.c.finished_at.desc()).limit(1)
    if scope is not None:
        query = query.where(reconciliation_runs.c.scope == scope)
    if as_of_then:
        query = query.where(reconciliation_runs.c.as_of >= reconciliation_runs.c.started_at)
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    fields = {name: getattr(row, name) for name in RunRecord.__dataclass_fields__}
    return RunRecord(**fields | {"status": RunStatus(row.status)})


def findings_of(connection: Connection, run_id: str) -> list[Finding]:
    """Return the findings of a run, by check, agent and currency."""
    query = (
        select(findings)
        .where(findings.c.run_id == run_id)
        .order_by(findings.c.check_id, findings.c.agent_id, findings.c.currency, findings.c.subject)
    )
    return [
        Finding(
            check=Check(row.check_id),
            agent_id=row.agent_id,
            currency=row.currency,
            expected=row.expected,
            actual=row.actual,
            cause=Cause(row.cause),
            score=row.score,
            evidence=tuple(json.loads(row.evidence)),
            subject=row.subject,
        )
        for row in connection.execute(query)
    ]
