"""Sweeps: state and costate sweeps of a problem on a depth scheme, compiled once.
They know the statement and what is below it.
"""
