"""Moves: how far to follow a proposal: steps, line searches, quasi-Newton polish."""
