"""The indirect route: Pontryagin's maximum principle, by sweeps.

Each method is an update and one or several moves in one loop (``ocdl.pmp.loop``).
"""

from ocdl.pmp.needle_steps import NeedleSteps
from ocdl.pmp.projected_gradient import ProjectedGradient
from ocdl.pmp.successive_approximations import SuccessiveApproximations

__all__ = ["NeedleSteps", "ProjectedGradient", "SuccessiveApproximations"]
