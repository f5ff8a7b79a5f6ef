"""Bounds: reachable boxes, least costs and proven lower bounds, by interval arithmetic and comparison."""
