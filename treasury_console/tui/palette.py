"""The actions of the registry in Textual's command palette."""

from __future__ import annotations

from functools import partial

from textual.command import DiscoveryHit, Hit, Hits, Provider

from treasury_console.tui.actions import ConsoleAction
from treasury_console.tui.screens.base import ActionScreen


class ActionCommands(Provider):
    """Offers what the screen behind the palette can do; what it refuses says why when chosen.

    The palette parses help texts as markup, so nothing but the registry's own words goes into them.
    """

    async def discover(self) -> Hits:
        """Offer every action before anything is typed."""
        for action in self._actions():
            yield DiscoveryHit(action.title, partial(self._perform, action), help=self._help(action))

    async def search(self, query: str) -> Hits:
        """Offer the actions whose title or help matches."""
        matcher = self.matcher(query)
        for action in self._actions():
            score = max(matcher.match(action.title), matcher.match(action.help) / 2)
            if score > 0:
                title = matcher.highlight(action.title)
                yield Hit(score, title, partial(self._perform, action), help=self._help(action))

    def _actions(self) -> list[ConsoleAction]:
        screen = self.screen
        return screen.palette_actions() if isinstance(screen, ActionScreen) else []

    def _help(self, action: ConsoleAction) -> str:
        assert isinstance(self.screen, ActionScreen)
        return action.help if self.screen.refusal_of(action) is None else f"Not now. {action.help}"

    async def _perform(self, action: ConsoleAction) -> None:
        assert isinstance(self.screen, ActionScreen)
        await self.screen.perform(action)
