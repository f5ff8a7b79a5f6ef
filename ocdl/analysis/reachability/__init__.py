"""Reachable sets of one sample by its velocity box: boxes, inner and outer sets, and verdicts with a certificate.
Everything proven rests on inequalities between velocities and never on an integrator. Knows statement and solving.
"""
