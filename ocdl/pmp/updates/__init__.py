"""Updates: what the maximum principle or the gradient proposes at an iterate."""
