"""The indirect route: Pontryagin's maximum principle, by sweeps; it knows solving and what is below it, no other route.
``loop``: an update proposes at an ``iterate``, moves follow; ``methods`` are their compositions. ``switching`` leaves
the layers behind: the switching times of a bang-bang answer move in continuous depth.
"""

from ocdl.pmp.extremals.arcs import Arc
from ocdl.pmp.methods.augmented_lagrangian import AugmentedLagrangian
from ocdl.pmp.methods.conditional_gradient import ConditionalGradient
from ocdl.pmp.methods.control_sets import ControlSetNeedleSteps
from ocdl.pmp.methods.discrete import DiscreteNeedleSteps
from ocdl.pmp.methods.extended_msa import ExtendedSuccessiveApproximations
from ocdl.pmp.methods.gradient_descent import GradientDescent
from ocdl.pmp.methods.lbfgsb import LBFGSB
from ocdl.pmp.methods.needle_steps import NeedleSteps
from ocdl.pmp.methods.projected_gradient import ProjectedGradient
from ocdl.pmp.methods.projected_newton import ProjectedNewton
from ocdl.pmp.methods.proximal import ProximalAlternatingMinimisation
from ocdl.pmp.methods.shooting import IndirectShooting
from ocdl.pmp.methods.sqh import SequentialQuadraticHamiltonian
from ocdl.pmp.methods.stochastic_gradient import StochasticGradient
from ocdl.pmp.methods.successive_approximations import SuccessiveApproximations
from ocdl.pmp.switching.gaps import principle_gaps
from ocdl.pmp.switching.polished_arcs import PolishedArcs
from ocdl.pmp.switching.structure import switching_structure
from ocdl.pmp.switching.switching_times import PolishedSolution, polish

__all__ = [
    "LBFGSB",
    "Arc",
    "AugmentedLagrangian",
    "ConditionalGradient",
    "ControlSetNeedleSteps",
    "DiscreteNeedleSteps",
    "ExtendedSuccessiveApproximations",
    "GradientDescent",
    "IndirectShooting",
    "NeedleSteps",
    "PolishedArcs",
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
