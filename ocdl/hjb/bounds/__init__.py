"""Bounds: least costs and proven lower bounds, on the reachable boxes of analysis."""
