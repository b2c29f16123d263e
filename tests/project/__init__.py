"""The project itself: what the wheel carries, and the rules that tests can hold."""
