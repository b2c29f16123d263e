"""The guided resolution: evidence -> approval -> confirmation -> act -> verified balances.

No key that was pressed before a step was on the screen counts for it, the confirmation takes no key at all for a
moment, begins with Cancel, and is given only by typing a word. The transaction and the evidence are those that were
shown: the act refuses if they have changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from enum import StrEnum
from functools import partial
from time import monotonic
from typing import ClassVar

from textual import work
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Button, Input

from treasury_console.domain.errors import InvalidRequest, TreasuryError, Unreachable
from treasury_console.domain.resolution import Action
from treasury_console.failure_report import report_failure
from treasury_console.operations.force import Approval, Resolution, force, predict_force, resume
from treasury_console.operations.transactions import Effect, Inspection, inspect_transaction
from treasury_console.tui.actions import ConsoleAction, Scope, bindings_for
from treasury_console.tui.lines import Line, Span, Tone, line
from treasury_console.tui.presentation import resolution as words
from treasury_console.tui.screens.base import TOO_SMALL, ActionScreen
from treasury_console.tui.widgets.entry import plain_input
from treasury_console.tui.widgets.text_lines import ScrollingText, TextLines

NEVER = float("inf")


class Stage(StrEnum):
    """The steps; the value names the step in the title."""

    READING = "reading"
    EVIDENCE = "evidence"
    INCIDENT = "approval"
    ACKNOWLEDGEMENT = "acknowledgement"
    CONFIRMATION = "confirmation"
    ACTING = "acting"
    OVER = "result"


_ASKS_TEXT = {Stage.INCIDENT, Stage.ACKNOWLEDGEMENT, Stage.CONFIRMATION}


class ResolutionScreen(ActionScreen, ModalScreen[None]):
    """Leads through one forced resolution of one transaction, or the resuming of its decision."""

    SCOPES: ClassVar[tuple[Scope, ...]] = (Scope.RESOLUTION,)
    MODAL_KEYS: ClassVar[bool] = True
    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.RESOLUTION)
    AUTO_FOCUS: ClassVar[str | None] = "#evidence"

    def __init__(self, txn_id: str, action: Action) -> None:
        super().__init__()
        self.txn_id = txn_id
        self.action = action
        self.stage = Stage.READING
        self.inspection: Inspection | None = None
        self.resolution: Resolution | None = None
        self.title_line = TextLines(classes="pane-title")
        self.text = ScrollingText(widget_id="evidence")
        self.question = TextLines(classes="question")
        self.field = plain_input(widget_id="answer")
        self.hint = TextLines(classes="hint")
        self.cancel_button = Button("Cancel", id="cancel", compact=True)
        self._effects: tuple[Effect, ...] = ()
        self._incident_id = ""
        self._acknowledged = False
        self._progress: list[str] = []

    @property
    def crumb(self) -> str:
        """The action."""
        return self.action.value

    @property
    def takes_paste(self) -> bool:
        """Only the incident ID may be pasted: a confirmation has to be typed."""
        return self.stage is Stage.INCIDENT

    def compose_body(self) -> Iterator[Widget]:
        """Compose the evidence and, below it, the question of the step."""
        yield self.title_line
        yield self.text
        with Vertical(id="asking"):
            yield self.question
            with Horizontal(id="answers"):
                yield self.cancel_button
                yield self.field
                yield self.hint

    def on_mount(self) -> None:
        """Read the evidence."""
        self._enter(Stage.READING, [line(Span("Reading the evidence…", Tone.DIM))], [])
        self._read_evidence()

    # -- steps -------------------------------------------------------------------------------------------------------

    @property
    def steps(self) -> list[Stage]:
        """The steps that ask something, in order."""
        steps = [Stage.EVIDENCE]
        if self.action is not Action.RESUME:
            steps.append(Stage.INCIDENT)
        if self.inspection is not None and words.needs_acknowledgement(self.inspection, self.action):
            steps.append(Stage.ACKNOWLEDGEMENT)
        return [*steps, Stage.CONFIRMATION]

    @work(exclusive=True, group="evidence", exit_on_error=False)
    async def _read_evidence(self) -> None:
        try:
            inspection = await asyncio.to_thread(inspect_transaction, self.treasury, self.txn_id)
            self._effects = inspection.effects[self.action]
            if self.action is not Action.RESUME:
                predicted = await asyncio.to_thread(predict_force, self.treasury, self.txn_id, self.action)
                self._effects = predicted.effects
        except TreasuryError as error:
            self._fail(str(error), outcome_known=True)
        except Exception as error:
            self._fail(report_failure(error), outcome_known=True)
        else:
            self.inspection = inspection
            self._show_evidence(inspection)

    def _show_evidence(self, inspection: Inspection) -> None:
        verdict = inspection.verdicts.of(self.action)
        shown = words.evidence_lines(
            inspection, self.action, self._effects, self.treasury.settings.currencies, self.treasury.clock()
        )
        if not verdict.allowed:
            self._fail(f"{self.action.value} is refused: {' '.join(verdict.reasons)}", outcome_known=True)
            return
        self._enter(Stage.EVIDENCE, shown, words.evidence_question(self.action))

    def action_go_on(self) -> None:
        """Go to the next step, or leave after the last."""
        if self.stage is Stage.EVIDENCE:
            self._next_step()
        elif self.stage is Stage.OVER:
            self.dismiss()

    def action_cancel(self) -> None:
        """Leave; nothing has been done."""
        self.dismiss()

    def own_refusal_of(self, action: ConsoleAction) -> str | None:
        """Return why the step has no such key."""
        if self.stage is Stage.ACTING:
            return f"{self.action.value} of {self.txn_id} is running; wait until it has ended"
        if action.id == "go-on" and self.stage not in {Stage.EVIDENCE, Stage.OVER}:
            return "type the answer that the step asks for, then Enter; Esc leaves"
        return None

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Leave: the only button is Cancel."""
        event.stop()
        if self.stage is Stage.CONFIRMATION:
            self.dismiss()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Say whether what is typed so far will do."""
        event.stop()
        self._show_hint(event.value)

    def on_descendant_focus(self) -> None:
        """Say what Enter does where the keys are now."""
        self._show_hint(self.field.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take the answer if it is one."""
        event.stop()
        answer = event.value.strip()
        if self.stage is Stage.INCIDENT and self._incident_problem(answer) is None:
            self._incident_id = answer
            self._next_step()
        elif self.stage is Stage.ACKNOWLEDGEMENT and answer == words.ACKNOWLEDGEMENT:
            self._acknowledged = True
            self._next_step()
        elif self.stage is Stage.CONFIRMATION and answer == words.CONFIRMATION[self.action]:
            self._confirmed()

    def _next_step(self) -> None:
        steps = self.steps
        stage = steps[steps.index(self.stage) + 1]
        questions = {
            Stage.INCIDENT: lambda: words.incident_question(self.action),
            Stage.ACKNOWLEDGEMENT: words.acknowledgement_question,
            Stage.CONFIRMATION: self._confirmation_question,
        }
        self._enter(stage, None, questions[stage]())

    def _confirmation_question(self) -> list[Line]:
        assert self.inspection is not None
        return words.confirmation_question(
            self.inspection, self.action, self._incident_id, self.treasury.settings.currencies
        )

    def _enter(self, stage: Stage, text: list[Line] | None, question: list[Line]) -> None:
        """Show a step. Keys count for it from the moment it is on the screen; a confirmation dwells longer."""
        self.accepts_input_after = NEVER
        self.app.clear_notifications()
        self.stage = stage
        if text is not None:
            self.text.show(text)
        self.question.show(question)
        self.field.value = ""
        self.field.disabled = stage not in _ASKS_TEXT
        self.set_class(stage in _ASKS_TEXT, "-answering")
        self.set_class(stage is Stage.CONFIRMATION, "-confirming")
        self._show_hint("")
        self._show_title()
        self.refresh_bindings()
        self.call_after_refresh(self._shown, stage)

    def _shown(self, stage: Stage) -> None:
        if stage is not self.stage:
            return
        first: Widget = self.text
        if stage is Stage.CONFIRMATION:
            first = self.cancel_button
        elif stage in _ASKS_TEXT:
            first = self.field
        self.set_focus(first)
        dwell = self.console_app.timing.dwell if stage is Stage.CONFIRMATION else 0.0
        self.accepts_input_after = monotonic() + dwell

    # -- acting ------------------------------------------------------------------------------------------------------

    def _confirmed(self) -> None:
        if self.is_too_small():
            self.console_app.tell(TOO_SMALL)
            return
        assert self.inspection is not None
        self._progress = ["Starting"]
        self._enter(Stage.ACTING, None, words.progress_lines(self.action, self.txn_id, self._progress))
        self._act(Approval(self._incident_id, None, self._acknowledged, self.inspection.fingerprint))

    @work(group="act", exit_on_error=False)
    async def _act(self, approval: Approval) -> None:
        progress = self.from_thread(self._show_progress)
        if self.action is Action.RESUME:
            call = partial(resume, self.treasury, self.txn_id, on_progress=progress)
        else:
            call = partial(force, self.treasury, self.txn_id, self.action, approval, on_progress=progress)
        try:
            with self.console_app.acting(f"{self.action.value} of {self.txn_id}"):
                resolution = await asyncio.to_thread(call)
        except Unreachable as error:
            self._fail(str(error), outcome_known=False)
        except TreasuryError as error:
            self._fail(str(error), outcome_known=True)
        except Exception as error:
            self._fail(report_failure(error), outcome_known=False)
        else:
            self.resolution = resolution
            result = words.result_lines(resolution, self.treasury.settings.currencies)
            self._enter(Stage.OVER, result, words.result_question(resolution))
        self.console_app.look_now()

    def _show_progress(self, message: str) -> None:
        self._progress.append(message)
        self.question.show(words.progress_lines(self.action, self.txn_id, self._progress[-2:]))

    def _fail(self, sentence: str, *, outcome_known: bool) -> None:
        self._enter(Stage.OVER, words.failure_lines(sentence, outcome_known=outcome_known), words.failure_question())

    # -- showing -----------------------------------------------------------------------------------------------------

    def _incident_problem(self, typed: str) -> str | None:
        try:
            self.treasury.settings.incidents.check(typed)
        except InvalidRequest as error:
            return str(error)
        return None

    def _show_hint(self, typed: str) -> None:
        hint: list[Line] = []
        if self.stage is Stage.INCIDENT:
            hint = words.incident_hint(self._incident_problem(typed.strip()), typed)
        elif self.stage is Stage.ACKNOWLEDGEMENT:
            hint = words.typed_hint(words.ACKNOWLEDGEMENT, typed.strip())
        elif self.stage is Stage.CONFIRMATION:
            on_cancel = self.focused is not self.field
            hint = (
                words.cancel_hint() if on_cancel else words.typed_hint(words.CONFIRMATION[self.action], typed.strip())
            )
        self.hint.show(hint)

    def _show_title(self) -> None:
        steps = self.steps
        where = f"step {steps.index(self.stage) + 1} of {len(steps)}: " if self.stage in steps else ""
        self.title_line.show(
            [
                line(
                    Span(f" {self.action.value} {self.txn_id}", Tone.HEADING),
                    right=[Span(f"{where}{self.stage.value} ", Tone.STRONG)],
                )
            ]
        )
