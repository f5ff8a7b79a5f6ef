"""Dense layers fused: what a problem's formulas say of its layers, and kernels that sweep blocks of samples through.

It knows statements and depth schemes; the sweeps call it, and CasADi is its oracle in the tests.
"""
