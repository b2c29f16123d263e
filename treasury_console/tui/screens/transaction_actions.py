"""The actions on a transaction, for the overview and the inspect screen alike."""

from __future__ import annotations

from treasury_console.domain.resolution import Action, Verdicts
from treasury_console.tui.actions import BY_ID, ConsoleAction, Scope, key_display, key_of
from treasury_console.tui.screens.base import ActionScreen

ACTION_BY_ID = {action.value: action for action in Action}


class TransactionScreen(ActionScreen):
    """A screen with a transaction at hand. The target is bound when a key is pressed, never looked up later."""

    @property
    def target(self) -> tuple[str, Verdicts, tuple[str, ...]] | None:
        """The transaction at hand: its id, its verdicts as last read, its participants."""
        raise NotImplementedError

    def own_refusal_of(self, action: ConsoleAction) -> str | None:
        """Return why the decision table, or the lack of a transaction, forbids the action."""
        if Scope.TRANSACTION not in action.scopes:
            return None
        if self.target is None:
            return "no transaction is selected"
        txn_id, verdicts, _ = self.target
        if action.id not in ACTION_BY_ID:
            return None
        verdict = verdicts.of(ACTION_BY_ID[action.id])
        return None if verdict.allowed else f"{action.id} of {txn_id} is refused: {' '.join(verdict.reasons)}"

    def action_force_commit(self) -> None:
        """Start the guided resolution towards commit."""
        self._resolve(Action.FORCE_COMMIT)

    def action_force_rollback(self) -> None:
        """Start the guided resolution towards rollback."""
        self._resolve(Action.FORCE_ROLLBACK)

    def action_resume(self) -> None:
        """Start the guided resolution that applies the recorded decision."""
        self._resolve(Action.RESUME)

    def action_verify(self) -> None:
        """Show whether the participants' balances agree."""
        from treasury_console.tui.screens.verification import VerificationScreen

        if self.target is not None:
            self.app.push_screen(VerificationScreen(self.target[2]))

    def keys_of_actions(self) -> dict[Action, str]:
        """Return the keys that start the forces and the resume."""
        keys = self.treasury.settings.keys
        return {action: key_display(key_of(BY_ID[identity], keys)) for identity, action in ACTION_BY_ID.items()}

    def _resolve(self, action: Action) -> None:
        from treasury_console.tui.screens.resolution import ResolutionScreen

        if self.target is not None:
            self.app.push_screen(ResolutionScreen(self.target[0], action))
