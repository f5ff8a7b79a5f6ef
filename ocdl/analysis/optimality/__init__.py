"""What is optimal beyond the maximum principle: second-order conditions by arcs, and linear-quadratic games."""
