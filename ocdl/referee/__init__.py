"""The referee: defects, constraints, Hamiltonian and certificate of an answer, and the Solution that keeps them.
It knows the sweeps and what is below them; no route, and nobody's word but the answer's.
"""
