"""Statement: problems and what they are made of, as the user writes them; no grid, no solver.
It knows depth schemes and the ground.
"""
