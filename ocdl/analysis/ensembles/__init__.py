"""Densities, functions and signals carried by flows, noise and random networks."""
