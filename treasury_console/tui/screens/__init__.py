"""The screens: the overview, and those behind it."""
