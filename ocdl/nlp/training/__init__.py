"""Training in reduced space: first and second-order methods on controls alone, whatever the number of samples.

They see J, its gradient and products with its Hessian; bounds and budgets by projection. They know solving and below.
"""
