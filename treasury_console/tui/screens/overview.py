"""The overview: what is pending, what drifts, how carbon syncs stand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import ClassVar

from textual import work
from textual.binding import BindingType
from textual.containers import Container
from textual.widget import Widget
from textual.widgets import Input

from treasury_console.domain.resolution import Verdicts
from treasury_console.operations.overview import Overview
from treasury_console.operations.reconciliation import reconcile_full
from treasury_console.tui.actions import ConsoleAction, Scope, bindings_for
from treasury_console.tui.panes.carbon import CarbonPane
from treasury_console.tui.panes.drift import DriftPane
from treasury_console.tui.panes.pane import Pane
from treasury_console.tui.panes.pending import PendingPane
from treasury_console.tui.presentation.text import count
from treasury_console.tui.screens.transaction_actions import TransactionScreen
from treasury_console.tui.widgets.entry import Entry


class OverviewScreen(TransactionScreen):
    """The three panes. The pane with the keys is the one that filters, sorts and inspects."""

    SCOPES: ClassVar[tuple[Scope, ...]] = (Scope.OVERVIEW,)
    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.OVERVIEW)
    AUTO_FOCUS: ClassVar[str | None] = "#pending-table"

    def __init__(self) -> None:
        super().__init__()
        self.pending = PendingPane()
        self.drift = DriftPane()
        self.carbon = CarbonPane()
        self.filter_entry = Entry(widget_id="filter")
        self._filtered_pane: Pane = self.pending
        self._reconciling = False
        self._offered: tuple[bool, ...] = ()

    @property
    def panes(self) -> tuple[Pane, ...]:
        """The panes, in the order of the tab key."""
        return (self.pending, self.drift, self.carbon)

    @property
    def pane(self) -> Pane:
        """The pane that has the keys; while the filter is typed, the one it filters."""
        return next((pane for pane in self.panes if pane.table.has_focus), self._filtered_pane)

    @property
    def target(self) -> tuple[str, Verdicts, tuple[str, ...]] | None:
        """The selected transaction, if the pending pane has the keys."""
        selected = self.pending.selected if self.pane is self.pending else None
        return None if selected is None else (selected.txn_id, selected.verdicts, selected.participants)

    def compose_body(self) -> Iterator[Widget]:
        """Compose the panes and the hidden filter entry."""
        with Container(id="panes"):
            yield self.pending
            with Container(id="lower"):
                yield self.drift
                yield self.carbon
        yield self.filter_entry

    def show_overview(self, overview: Overview, now: datetime) -> None:
        """Show what was read."""
        for pane in self.panes:
            pane.show(overview, now)
        self._offer()

    def own_refusal_of(self, action: ConsoleAction) -> str | None:
        """Return why the pane with the keys cannot do the action."""
        if action.id == "reconcile":
            return "a reconciliation is running" if self._reconciling else None
        if action.id == "inspect":
            return self._nothing_to_inspect()
        if action.id == "sort":
            return None if self.pane is self.pending else "only pending transactions can be sorted"
        if action.id == "clear":
            return None if self.pane.row_filter else "there is no filter to clear"
        if action.id == "verify" and self.pane is self.drift:
            finding = self.drift.selected
            return None if finding and finding.agent_id else "no agent's drift is selected"
        return super().own_refusal_of(action)

    def on_pane_selection_changed(self) -> None:
        """See anew what can be done with the selected row."""
        self._offer()

    def on_descendant_focus(self) -> None:
        """See anew what can be done in the pane that has the keys now."""
        self._offer()

    # -- actions -----------------------------------------------------------------------------------------------------

    def action_inspect(self) -> None:
        """Show the evidence about the selected row."""
        from treasury_console.tui.screens.finding import FindingScreen
        from treasury_console.tui.screens.inspect import InspectScreen

        if self.pane is self.drift:
            finding, overview = self.drift.selected, self.drift.overview
            if finding is not None and overview is not None and overview.drift.run is not None:
                self.app.push_screen(FindingScreen(finding, overview.drift.run))
        elif self.target is not None:
            self.app.push_screen(InspectScreen(self.target[0]))

    def action_verify(self) -> None:
        """Verify the participants, or the drifting agent."""
        from treasury_console.tui.screens.verification import VerificationScreen

        if self.pane is not self.drift:
            super().action_verify()
        elif self.drift.selected is not None and self.drift.selected.agent_id:
            self.app.push_screen(VerificationScreen((self.drift.selected.agent_id,)))

    def action_next_pane(self) -> None:
        """Give the keys to the next pane."""
        self._turn(1)

    def action_previous_pane(self) -> None:
        """Give the keys to the previous pane."""
        self._turn(-1)

    def action_sort(self) -> None:
        """Order the pending transactions by the next column."""
        self.pending.sort_next()

    def action_filter(self) -> None:
        """Open the filter of the pane that has the keys."""
        self._filtered_pane = self.pane
        self.filter_entry.ask(
            "Filter: ", self._filtered_pane.row_filter.text, "words, !word hides; Enter keeps, Esc clears "
        )

    def action_clear(self) -> None:
        """Clear the filter of the pane that has the keys."""
        self.pane.filter_by("")
        self._offer()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while it is typed."""
        self._filtered_pane.filter_by(event.value)

    def on_entry_done(self, event: Entry.Done) -> None:
        """Keep or clear the filter, and give the keys back to its pane."""
        if not event.kept:
            self._filtered_pane.filter_by("")
        self._filtered_pane.table.focus()

    def action_reconcile(self) -> None:
        """Reconcile the whole treasury as of now."""
        self._reconcile()

    @work(group="reconcile", exit_on_error=False)
    async def _reconcile(self) -> None:
        self._reconciling = True
        self.drift.show_progress("Starting")
        self._offer()
        progress = self.from_thread(self.drift.show_progress)
        with self.console_app.acting("a reconciliation"):
            done = await self.read(partial(reconcile_full, self.treasury, on_progress=progress))
        self._reconciling = False
        self.drift.show_progress("")
        self._offer()
        if done is not None:
            found = count(len(done.findings), "finding") if done.findings else "no finding"
            stuck = f", {count(len(done.stuck), 'transaction')} stuck" if done.stuck else ""
            self.console_app.tell(f"Reconciled: {done.run.status.value.upper()}, {found}{stuck}.")
            self.console_app.look_now()

    def _nothing_to_inspect(self) -> str | None:
        if self.pane is self.carbon:
            return "a region has nothing to inspect"
        if self.pane is self.drift:
            return None if self.drift.selected else "no drift is selected"
        return None if self.target else "no transaction is selected"

    def _turn(self, step: int) -> None:
        panes = self.panes
        panes[(panes.index(self.pane) + step) % len(panes)].table.focus()

    def _offer(self) -> None:
        """Renew the footer if what can be done has changed."""
        offered = tuple(self.refusal_of(action) is None for action in self.palette_actions())
        if offered != self._offered:
            self._offered = offered
            self.refresh_bindings()
