"""Switching: the arcs of bang-bang answers, and their switching times polished in continuous depth."""
