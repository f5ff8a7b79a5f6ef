"""How a command ends, where it is not solved (0)."""

FAILED, REFUSED, INTERRUPTED = 1, 2, 130
