"""A screen of scrolling text behind the overview, read in a thread when it opens and whenever the treasury changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from textual import work
from textual.binding import BindingType
from textual.widget import Widget

from treasury_console.tui.actions import Scope, bindings_for
from treasury_console.tui.lines import Line, Span, Tone, line
from treasury_console.tui.screens.base import ActionScreen
from treasury_console.tui.widgets.text_lines import ScrollingText, TextLines


class TextScreen(ActionScreen):
    """Text with a title line; subclasses say what the text is, in `lines`, from what `load` has read."""

    SCOPES: ClassVar[tuple[Scope, ...]] = (Scope.SCREEN,)
    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.SCREEN)
    AUTO_FOCUS: ClassVar[str | None] = "#text"

    def __init__(self) -> None:
        super().__init__()
        self.title_line = TextLines(classes="pane-title")
        self.text = ScrollingText(widget_id="text")

    @property
    def heading(self) -> str:
        """What the title line says."""
        raise NotImplementedError

    async def load(self) -> None:
        """Read what the screen shows, if it has to be read."""

    def lines(self) -> Sequence[Line]:
        """Return what the screen shows now."""
        raise NotImplementedError

    def compose_body(self) -> Iterator[Widget]:
        """Compose the title line and the text."""
        yield self.title_line
        yield self.text

    def on_mount(self) -> None:
        """Start to read."""
        self.text.show([line(Span("Reading…", Tone.DIM))])
        self._show_title()
        self.load_and_show()

    def treasury_changed(self) -> None:
        """Read again."""
        self.load_and_show()

    @work(exclusive=True, group="load", exit_on_error=False)
    async def load_and_show(self) -> None:
        """Read and show; a reading that was overtaken by a newer one shows nothing."""
        await self.load()
        self.show_lines()

    def show_lines(self) -> None:
        """Show what was read."""
        self.text.show(self.lines())
        self._show_title()
        self.refresh_bindings()

    def on_scrolling_text_scrolled(self) -> None:
        """Show which lines can be seen."""
        self._show_title()

    def action_back(self) -> None:
        """Go back to the screen before."""
        self.dismiss()

    def _show_title(self) -> None:
        where = self.text.position
        self.title_line.show(
            [Line((Span(f" {self.heading}", Tone.HEADING),), (Span(f"{where} " if where else "", Tone.DIM),))]
        )
