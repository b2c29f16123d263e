"""Everything known about one transaction, and the way to force it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from textual.binding import BindingType

from treasury_console.domain.resolution import Verdicts
from treasury_console.domain.text import safe_text
from treasury_console.operations.transactions import Inspection, inspect_transaction
from treasury_console.tui.actions import Scope, bindings_for
from treasury_console.tui.lines import Line, Span, Tone, line
from treasury_console.tui.presentation.inspection import inspection_lines
from treasury_console.tui.screens.text_screen import TextScreen
from treasury_console.tui.screens.transaction_actions import TransactionScreen


class InspectScreen(TransactionScreen, TextScreen):
    """The evidence: coordinator, branches, verdicts, effects, history."""

    SCOPES: ClassVar[tuple[Scope, ...]] = (Scope.TRANSACTION, Scope.SCREEN)
    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.TRANSACTION, Scope.SCREEN)

    def __init__(self, txn_id: str) -> None:
        super().__init__()
        self.txn_id = txn_id
        self.inspection: Inspection | None = None

    @property
    def crumb(self) -> str:
        """The transaction's id."""
        return safe_text(self.txn_id, 60)

    @property
    def heading(self) -> str:
        """What the screen is."""
        return "Evidence"

    @property
    def target(self) -> tuple[str, Verdicts, tuple[str, ...]] | None:
        """The inspected transaction, once it has been read."""
        if self.inspection is None:
            return None
        return self.txn_id, self.inspection.verdicts, self.inspection.record.transaction.participants

    async def load(self) -> None:
        """Gather the evidence."""
        inspection = await self.read(partial(inspect_transaction, self.treasury, self.txn_id))
        if inspection is not None:
            self.inspection = inspection

    def lines(self) -> Sequence[Line]:
        """Return the evidence."""
        if self.inspection is None:
            return [line(Span("The evidence could not be read.", Tone.BAD))]
        return inspection_lines(
            self.inspection, self.treasury.settings.currencies, self.treasury.clock(), self.keys_of_actions()
        )
