"""The indirect route: Pontryagin's maximum principle, by sweeps.

Each method is an update and one or several moves in one loop (``ocdl.pmp.loop``). ``polish`` leaves the layers behind:
it moves the switching times of a bang-bang solution in continuous depth.
"""

from ocdl.pmp.conditional_gradient import ConditionalGradient
from ocdl.pmp.control_sets import ControlSetNeedleSteps
from ocdl.pmp.discrete import DiscreteNeedleSteps
from ocdl.pmp.extended_msa import ExtendedSuccessiveApproximations
from ocdl.pmp.gaps import principle_gaps
from ocdl.pmp.gradient_descent import GradientDescent
from ocdl.pmp.lbfgsb import LBFGSB
from ocdl.pmp.needle_steps import NeedleSteps
from ocdl.pmp.projected_gradient import ProjectedGradient
from ocdl.pmp.projected_newton import ProjectedNewton
from ocdl.pmp.proximal import ProximalAlternatingMinimisation
from ocdl.pmp.shooting import IndirectShooting
from ocdl.pmp.sqh import SequentialQuadraticHamiltonian
from ocdl.pmp.stochastic_gradient import StochasticGradient
from ocdl.pmp.successive_approximations import SuccessiveApproximations
from ocdl.pmp.switching import switching_structure
from ocdl.pmp.switching_times import PolishedSolution, polish

__all__ = [
    "LBFGSB",
    "ConditionalGradient",
    "ControlSetNeedleSteps",
    "DiscreteNeedleSteps",
    "ExtendedSuccessiveApproximations",
    "GradientDescent",
    "IndirectShooting",
    "NeedleSteps",
    "PolishedSolution",
    "ProjectedGradient",
    "ProjectedNewton",
    "ProximalAlternatingMinimisation",
    "SequentialQuadraticHamiltonian",
    "StochasticGradient",
    "SuccessiveApproximations",
    "polish",
    "principle_gaps",
    "switching_structure",
]
