"""Solving: the contract of a route, starts, one verb over all routes, diagnosis, meshes, refinement, prediction.
It knows the referee and what is below it; routes come in by their contract.
"""
