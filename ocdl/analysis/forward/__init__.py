"""The forward problem solved: by Picard's iteration, in as many unknowns as the rank, and in the limit of layers and
neurons.
"""
