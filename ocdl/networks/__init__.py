"""Networks as statements: each architecture is the formula of its layer, and ``network`` makes a ControlProblem of it.

It knows statements alone; what makes dense layers fast is found in their formulas, below.
"""
