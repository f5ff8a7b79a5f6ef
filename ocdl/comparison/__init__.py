"""Comparison: many answers side by side, and in plain sentences where they agree and why they do not.
It knows solving and what is below it; the routes by their contract only.
"""
