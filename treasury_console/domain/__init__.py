"""The rules of the treasury: money, two-phase commit, drift, audit. No input or output, standard library alone."""
