"""A line that asks for text at the bottom of the screen, and is hidden until it asks."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input

from treasury_console.tui.lines import Span, Tone, line
from treasury_console.tui.widgets.text_lines import TextLines

NO_CONTROL_CHARACTERS = r"[^\x00-\x1f\x7f-\x9f]*"


def plain_input(*, widget_id: str, placeholder: str = "") -> Input:
    """Return an input of one line that takes no control characters and does not blink."""
    field = Input(id=widget_id, placeholder=placeholder, restrict=NO_CONTROL_CHARACTERS, max_length=200, compact=True)
    field.cursor_blink = False
    return field


class Entry(Horizontal):
    """A prompt and an input. Enter keeps what was typed, escape does not."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", show=False)]

    class Done(Message):
        """The person is done; `kept` unless they escaped."""

        def __init__(self, *, kept: bool) -> None:
            super().__init__()
            self.kept = kept

    def __init__(self, *, widget_id: str) -> None:
        super().__init__(id=widget_id, classes="entry")
        self._prompt = TextLines(classes="entry-prompt")
        self._input = plain_input(widget_id=f"{widget_id}-input")
        self._hint = TextLines(classes="entry-hint")

    def compose(self) -> ComposeResult:
        """Compose prompt, input and hint."""
        yield self._prompt
        yield self._input
        yield self._hint

    def ask(self, prompt: str, value: str, hint: str) -> None:
        """Show the entry with `value` in it, and give it the keys."""
        self._prompt.styles.width = len(prompt) + 1
        self._prompt.show([line(Span(f" {prompt}", Tone.STRONG))])
        self._hint.styles.width = len(hint)
        self._hint.show([line(Span(hint, Tone.DIM))])
        self._input.value = value
        self.add_class("-asking")
        self._input.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep what was typed."""
        event.stop()
        self._finish(kept=True)

    def action_leave(self) -> None:
        """Drop what was typed."""
        self._finish(kept=False)

    def _finish(self, *, kept: bool) -> None:
        self.remove_class("-asking")
        self.post_message(self.Done(kept=kept))
