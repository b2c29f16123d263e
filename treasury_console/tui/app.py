"""The app: watches the treasury, keeps the situation every header shows, and ends cleanly however it ends."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar

from textual import events
from textual.app import App
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Input

from treasury_console.domain.errors import INTERNAL_ERROR
from treasury_console.domain.text import safe_text
from treasury_console.failure_report import report_failure
from treasury_console.operations.treasury import Treasury
from treasury_console.tui.actions import BY_METHOD, Scope, bindings_for, check_keys, key_display, key_of
from treasury_console.tui.palette import ActionCommands
from treasury_console.tui.presentation.header import Situation
from treasury_console.tui.screens.base import LEAST_HEIGHT, LEAST_WIDTH, ActionScreen
from treasury_console.tui.screens.help import HelpScreen
from treasury_console.tui.screens.overview import OverviewScreen
from treasury_console.tui.signals import end_on_signals, has_terminal
from treasury_console.tui.stylesheets import stylesheet
from treasury_console.tui.themes import OWN_THEMES, choose_theme, variable_defaults
from treasury_console.tui.watch import News, Refreshed, Stale, Ticked, Timing, Watcher

_TOLD_SECONDS, _FAILURE_SECONDS = 6.0, 15.0
_OPEN_TEXT = {"filter", "palette"}
_TEXT_POLL, _TEXT_PATIENCE = 0.02, 25
_WIDTHS = [(0, "-too-narrow"), (LEAST_WIDTH, "-narrow"), (100, "-wide"), (150, "-very-wide")]
_HEIGHTS = [(0, "-too-short"), (LEAST_HEIGHT, "-short"), (24, "-medium"), (32, "-tall")]


class ConsoleApp(App[None]):
    """treasury-console. `failure` is the sentence about an unforeseen end, to print after the terminal is restored."""

    TITLE = "treasury-console"
    CSS = stylesheet()
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings_for(Scope.EVERYWHERE),
        Binding("ctrl+q", "quit", show=False, priority=True),
        Binding("ctrl+c", "help_quit", show=False),
    ]
    COMMANDS = {ActionCommands}  # noqa: RUF012 (Textual's own declaration is not a ClassVar set)
    ALLOW_SELECT = False
    HORIZONTAL_BREAKPOINTS = _WIDTHS
    VERTICAL_BREAKPOINTS = _HEIGHTS

    class Noticed(Message):
        """The watcher noticed something."""

        def __init__(self, news: News) -> None:
            super().__init__()
            self.news = news

    def __init__(
        self,
        treasury: Treasury,
        *,
        timing: Timing | None = None,
        low_bandwidth: bool = False,
        true_colour: bool = False,
    ) -> None:
        check_keys(treasury.settings.keys)
        super().__init__()
        self.treasury = treasury
        self.timing = timing or Timing()
        self.watcher = Watcher(treasury, self.timing, lambda news: self.post_message(self.Noticed(news)))
        self.situation = Situation(treasury.clock())
        self.overview_screen = OverviewScreen()
        self.failure: str | None = None
        self.animation_level = "none"
        self._acting: list[str] = []
        self._held_keys: list[events.Key] | None = None
        self._patience = 0
        self.first_shown = asyncio.Event()
        for theme in OWN_THEMES:
            self.register_theme(theme)
        system = "truecolor" if true_colour else self.console.color_system
        self.theme = choose_theme(treasury.settings.theme, system, low_bandwidth=low_bandwidth)
        self.set_keymap(dict(treasury.settings.keys))

    def get_default_screen(self) -> Screen[Any]:
        """Return the overview."""
        return self.overview_screen

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Return our own variables, for themes from elsewhere."""
        return variable_defaults()

    def on_mount(self) -> None:
        """Begin to watch."""
        if not self.is_headless:
            end_on_signals(self._signalled)
        self.watcher.start()

    async def on_unmount(self) -> None:
        """Stop to watch before the treasury is closed."""
        await asyncio.to_thread(self.watcher.stop, self.treasury.settings.busy_timeout.total_seconds() + 1)

    # -- watching ----------------------------------------------------------------------------------------------------

    def on_console_app_noticed(self, message: ConsoleApp.Noticed) -> None:
        """Take in what the watcher noticed."""
        if isinstance(message.news, Ticked):
            self._tick()
        else:
            self._take_in(message.news)

    def look_now(self) -> None:
        """Look whether the treasury changed without waiting for the next poll."""
        self.watcher.look_now()

    def _take_in(self, news: Refreshed | Stale) -> None:
        now = self.treasury.clock()
        if isinstance(news, Stale):
            since = self.situation.stale_since or news.since
            self._show(replace(self.situation, now=now, stale_since=since, stale_reason=news.reason))
            return
        self._show(
            replace(
                self.situation,
                now=now,
                agents=news.overview.agents,
                stale_since=None,
                stale_reason="",
                silent=news.silent,
            )
        )
        self.overview_screen.show_overview(news.overview, now)
        self._tell_screens()
        self.first_shown.set()

    def _tick(self) -> None:
        """Renew what the passing of time changes: ages and the clock."""
        if not self.is_headless and not has_terminal():
            self._signalled(128 + signal.SIGHUP)
        now = self.treasury.clock()
        self._show(replace(self.situation, now=now))
        for pane in self.overview_screen.panes:
            if pane.overview is not None:
                pane.show(pane.overview, now)
        if not self.situation.paused:
            self._tell_screens()

    def _tell_screens(self) -> None:
        for screen in self._console_screens():
            screen.treasury_changed()

    def _show(self, situation: Situation) -> None:
        if situation == self.situation:
            return
        self.situation = situation
        for screen in self._console_screens():
            screen.show_situation(situation)

    def _console_screens(self) -> list[ActionScreen]:
        return [screen for screen in self.screen_stack if isinstance(screen, ActionScreen) and screen.is_mounted]

    # -- telling -----------------------------------------------------------------------------------------------------

    def tell(self, message: str, *, failed: bool = False) -> None:
        """Show a sentence for some seconds. The one way to notify: plain text, made safe, never markup."""
        self.clear_notifications()
        self.notify(
            safe_text(message),
            severity="error" if failed else "information",
            timeout=_FAILURE_SECONDS if failed else _TOLD_SECONDS,
            markup=False,
        )

    @contextmanager
    def acting(self, what: str) -> Iterator[None]:
        """Keep the person from quitting while something acts on the treasury."""
        self._acting.append(what)
        self._show(replace(self.situation, busy=self._acting[0]))
        try:
            yield
        finally:
            self._acting.remove(what)
            self._show(replace(self.situation, busy=self._acting[0] if self._acting else ""))

    # -- input -------------------------------------------------------------------------------------------------------

    async def on_event(self, event: events.Event) -> None:
        """Drop keys that were pressed before the screen that would get them was ready, and pastes it does not take."""
        screen = self.screen if self.screen_stack else None
        if (
            isinstance(event, (events.Key, events.Paste))
            and not event.is_forwarded
            and isinstance(screen, ActionScreen)
        ):
            too_early = event.time < screen.accepts_input_after
            if too_early or (isinstance(event, events.Paste) and not screen.takes_paste):
                return
        if isinstance(event, events.Key) and not event.is_forwarded:
            if self._held_keys is not None:
                self._held_keys.append(event)
                return
            if self._opens_text(event.key):
                self._held_keys = []
                self._patience = _TEXT_PATIENCE
                self.set_timer(_TEXT_POLL, self._release_keys)
        await super().on_event(event)

    def _opens_text(self, key: str) -> bool:
        """Say whether `key` opens an entry: what is typed behind it in the same burst is text, not commands."""
        if not isinstance(self.screen, ActionScreen) or isinstance(self.focused, Input):
            return False
        bound = self.screen.active_bindings.get(key)
        return bound is not None and bound.enabled and bound.binding.action in _OPEN_TEXT

    async def _release_keys(self) -> None:
        """Hand on the keys that were held, once the entry is there to take them."""
        self._patience -= 1
        if not isinstance(self.focused, Input) and self._patience > 0:
            self.set_timer(_TEXT_POLL, self._release_keys)
            return
        held, self._held_keys = self._held_keys or [], None
        if isinstance(self.focused, Input):
            for event in held:
                await super().on_event(event)

    def on_key(self, event: events.Key) -> None:
        """Say why a greyed key does nothing."""
        bound = self.screen.active_bindings.get(event.key)
        if bound is None or bound.enabled or not isinstance(self.screen, ActionScreen):
            return
        action = BY_METHOD.get(bound.binding.action)
        reason = self.screen.refusal_of(action) if action is not None and action.in_footer else None
        if reason is not None:
            self.tell(reason)

    # -- actions -----------------------------------------------------------------------------------------------------

    def action_help(self) -> None:
        """Show the help."""
        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen())

    def action_palette(self) -> None:
        """Open the command palette."""
        self.action_command_palette()

    def action_pause(self) -> None:
        """Stop refreshing, or go on."""
        self.watcher.paused = not self.watcher.paused
        self._show(replace(self.situation, paused=self.watcher.paused))
        self.look_now()

    async def action_quit(self) -> None:
        """Leave, unless something is acting on the treasury."""
        if self._acting:
            self.tell(f"{self._acting[0]} is running; quit when it has ended.")
        else:
            self.exit()

    def action_help_quit(self) -> None:
        """Say how to leave."""
        key = key_display(key_of(BY_METHOD["quit"], self.treasury.settings.keys))
        self.tell(f"Press {key} to quit.")

    # -- ending ------------------------------------------------------------------------------------------------------

    def _signalled(self, status: int) -> None:
        """End as a signal asks: the terminal restored, the exit status that of the signal."""
        self.exit(return_code=status)

    def _handle_exception(self, error: Exception) -> None:
        """End after a failure nobody foresaw, with a report instead of a traceback on the screen."""
        if self._exception is None:
            self._exception = error
            self._exception_event.set()
            self.failure = report_failure(error)
        self._return_code = INTERNAL_ERROR
        self._close_messages_no_wait()

    def panic(self, *renderables: object) -> None:
        """End without showing what Textual would show."""
        self.failure = self.failure or report_failure(RuntimeError(" ".join(str(part) for part in renderables)))
        self._return_code = INTERNAL_ERROR
        self._close_messages_no_wait()

    def _print_error_renderables(self) -> None:
        """Print nothing: `failure` is printed by who started the app."""
        self._exit_renderables.clear()


def silence_logging() -> None:
    """Keep libraries' warnings off the screen: asyncio reports some failures to the logging of last resort."""
    logging.getLogger().addHandler(logging.NullHandler())
