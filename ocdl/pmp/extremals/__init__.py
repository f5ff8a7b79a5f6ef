"""Extremals of ordinary problems: the Hamiltonian system with its end conditions as one system, by Newton's method."""
