"""Findings of the checks, as JSON and as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from treasury_console.cli.output import BAD, paint, table, wrapped

if TYPE_CHECKING:
    from treasury_console.domain.drift import Finding
    from treasury_console.domain.money import Currencies


def finding_document(finding: Finding, currencies: Currencies) -> dict[str, Any]:
    """Return the JSON form; `score` is the certainty of the cause from 0 to 1."""
    return {
        "finding_id": finding.finding_id,
        "check": finding.check.value,
        "agent_id": finding.agent_id or None,
        "currency": finding.currency,
        "expected": _quantity(finding, finding.expected, currencies),
        "actual": _quantity(finding, finding.actual, currencies),
        "drift": _quantity(finding, finding.drift, currencies),
        "cause": finding.cause.value,
        "score": finding.score / 100,
        "evidence": list(finding.evidence),
        "resolution": finding.resolution,
    }


def describe_findings(findings: Sequence[Finding], currencies: Currencies) -> str:
    """Return a table of the findings, and below it each one's cause, resolution and evidence."""
    rows = [
        (
            finding.finding_id,
            finding.agent_id or "(all)",
            finding.currency,
            _quantity(finding, finding.expected, currencies),
            _quantity(finding, finding.actual, currencies),
            ("+" if finding.drift > 0 else "") + _quantity(finding, finding.drift, currencies),
        )
        for finding in findings
    ]
    lines = [table(("FINDING_ID", "AGENT_ID", "CURRENCY", "EXPECTED", "ACTUAL", "DRIFT"), rows)]
    for finding in findings:
        lines.append("")
        certainty = f" ({finding.score}% certain)" if finding.score else ""
        lines.append(f"{paint(finding.finding_id, BAD)}: {finding.cause.value}{certainty}")
        lines.append(wrapped(f"{finding.resolution}.", label="  resolution  ", indent=14))
        lines += [wrapped(row, label="  evidence    ", indent=14) for row in finding.evidence]
    return "\n".join(lines)


def _quantity(finding: Finding, value: int, currencies: Currencies) -> str:
    """Return a decimal amount; check B2 compares counts of entries, which have no decimals."""
    from treasury_console.domain.drift import Check

    if finding.check is Check.COMPLETENESS:
        return str(value)
    return currencies.format(value, finding.currency)
