"""The demo, which promises real crashes and real faults: that they are real, and found."""
