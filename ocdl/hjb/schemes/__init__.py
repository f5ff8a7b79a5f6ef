"""Schemes: one step of dynamic programming, split, upwind or general, with bounds on states."""
