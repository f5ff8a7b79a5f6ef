"""Depth: Butcher tableaux, collocation, meshes of layers, and how controls vary in a layer.
It knows the ground alone.
"""
