"""What every screen has: the header, the footer, the size guard, and actions by the registry's rules."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input
from textual.worker import Worker, WorkerState

from treasury_console.domain.errors import TreasuryError
from treasury_console.failure_report import report_failure
from treasury_console.operations.treasury import Treasury
from treasury_console.tui.actions import BY_METHOD, ConsoleAction, Role, Scope, actions_in, key_display
from treasury_console.tui.lines import Span, Tone, line
from treasury_console.tui.presentation.header import Situation, header_line, stale_line
from treasury_console.tui.widgets.action_footer import ActionFooter
from treasury_console.tui.widgets.text_lines import TextLines

if TYPE_CHECKING:
    from treasury_console.tui.app import ConsoleApp

LEAST_WIDTH, LEAST_HEIGHT = 60, 16
TOO_SMALL = f"terminal too small (need {LEAST_WIDTH}x{LEAST_HEIGHT})"

_Result = TypeVar("_Result")


class ActionScreen(Screen[Any]):
    """A screen whose keys are actions of the registry.

    `SCOPES` are those its own bindings were made from. `refusal_of` says why an action cannot be done now; such an
    action is greyed in the footer, blocked, and answers its key with the reason. `MODAL_KEYS` says that no other keys
    work; the footer then shows only what can be done.
    """

    SCOPES: ClassVar[tuple[Scope, ...]] = ()
    MODAL_KEYS: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        self.header = TextLines(classes="header")
        self.stale = TextLines(classes="stale")
        self.footer = ActionFooter()
        self.accepts_input_after = 0.0

    @property
    def console_app(self) -> ConsoleApp:
        """The app."""
        return cast("ConsoleApp", self.app)

    @property
    def treasury(self) -> Treasury:
        """The treasury that is shown."""
        return self.console_app.treasury

    @property
    def crumb(self) -> str:
        """What the header says this screen is."""
        return ""

    @property
    def takes_paste(self) -> bool:
        """Whether text may be pasted now."""
        return True

    def compose(self) -> ComposeResult:
        """Compose header, body and footer, and what replaces them all on a terminal that is too small."""
        yield self.header
        yield self.stale
        with Vertical(classes="body"):
            yield from self.compose_body()
        yield self.footer
        notice = TextLines(classes="too-small")
        notice.show([line(Span(TOO_SMALL, Tone.STRONG)), line("Force actions are off until it is larger.")])
        yield notice

    def compose_body(self) -> Iterator[Widget]:
        """Compose what is between header and footer."""
        raise NotImplementedError

    def on_mount(self) -> None:
        """Show the header and the footer."""
        self.bindings_updated_signal.subscribe(self, lambda _screen: self._show_footer())
        self.show_situation(self.console_app.situation)
        self._show_footer()

    def on_screen_suspend(self) -> None:
        """Take away what was told on this screen: it would hide what the next one says."""
        self.app.clear_notifications()

    def on_resize(self) -> None:
        """See anew what can be done at this size."""
        self.refresh_bindings()

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Report a worker that failed in a way nobody foresaw; the console goes on."""
        if event.state is WorkerState.ERROR and event.worker.error is not None:
            self.console_app.tell(report_failure(event.worker.error), failed=True)

    def show_situation(self, situation: Situation) -> None:
        """Show the header as of `situation`."""
        self.header.show([header_line(self.treasury.settings, situation, self.crumb)])
        is_stale = situation.stale_since is not None
        self.stale.show([stale_line(situation)] if is_stale else [])
        self.set_class(is_stale, "-stale")

    def treasury_changed(self) -> None:
        """Read again what this screen shows; called when anything in the treasury changed, and at every tick."""

    # -- actions -----------------------------------------------------------------------------------------------------

    def is_too_small(self) -> bool:
        """Say whether the terminal is too small to show what an action would do."""
        return self.app.size.width < LEAST_WIDTH or self.app.size.height < LEAST_HEIGHT

    def refusal_of(self, action: ConsoleAction) -> str | None:
        """Return why `action` cannot be done now, None if it can."""
        if action.danger and self.is_too_small():
            return TOO_SMALL
        if action.role is Role.OPERATOR and self.treasury.settings.read_only:
            return f"the treasury is open read-only, so {action.label} is off"
        return self.own_refusal_of(action)

    def own_refusal_of(self, action: ConsoleAction) -> str | None:  # noqa: ARG002 (for screens to answer)
        """Return why this screen cannot do `action` now, None if it can."""
        return None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Block and grey what is refused (Textual's question before every action)."""
        known = BY_METHOD.get(action)
        if known is None:
            return super().check_action(action, parameters)
        return True if self.refusal_of(known) is None else None

    def palette_actions(self) -> list[ConsoleAction]:
        """Return what the command palette offers on this screen."""
        return [action for action in actions_in(*self.SCOPES, Scope.EVERYWHERE) if action.id != "palette"]

    async def perform(self, action: ConsoleAction) -> None:
        """Do `action`, or say why not."""
        reason = self.refusal_of(action)
        if reason is not None:
            self.console_app.tell(reason)
        elif action.scopes & set(self.SCOPES):
            await self.run_action(action.method)
        else:
            await self.app.run_action(action.method)

    async def read(self, call: Callable[[], _Result]) -> _Result | None:
        """Return what a blocking operation returns, run in a thread; None after telling the person why it failed."""
        try:
            return await asyncio.to_thread(call)
        except TreasuryError as error:
            self.console_app.tell(str(error), failed=True)
        except Exception as error:
            self.console_app.tell(report_failure(error), failed=True)
        return None

    def from_thread(self, call: Callable[[str], None]) -> Callable[[str], None]:
        """Return `call` for another thread to call: it runs in the app's loop, or not at all when that has ended."""
        loop = asyncio.get_running_loop()

        def later(message: str) -> None:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(call, message)

        return later

    def _show_footer(self) -> None:
        if not self.is_mounted:
            return
        if self.MODAL_KEYS:
            shown = [action for action in actions_in(*self.SCOPES) if self.refusal_of(action) is None]
        else:
            shown = [action for action in actions_in(*self.SCOPES, Scope.EVERYWHERE) if action.in_footer]
        if isinstance(self.focused, Input):
            # A plain letter goes into the text that is typed.
            shown = [action for action in shown if len(key_display(self._key(action))) > 1]
        self.footer.show((action, self._key(action), self.refusal_of(action) is None) for action in shown)

    def _key(self, action: ConsoleAction) -> str:
        return self.treasury.settings.keys.get(action.id, action.key)
