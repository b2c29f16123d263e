"""The console: its widgets, its screens under a pilot, and the real program under a pseudo-terminal."""
