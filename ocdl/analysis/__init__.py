"""What theory says of kernels, trajectories and networks, computed: the forward theory of Liu and Markowich.
Every answer names the theorem, its hypotheses as they were measured, and the conclusion. Knows solving and below.
"""

from ocdl.analysis.findings import Finding, Hypothesis
from ocdl.analysis.flow import Evolution, Flow
from ocdl.analysis.gram import GramStability, gram_stability, measured_rate
from ocdl.analysis.operators import KernelOperator, SingularSystem
from ocdl.analysis.planar import PhasePortrait, phase_portrait
from ocdl.analysis.spectrum import Spectrum
from ocdl.analysis.stability import LinearStability, Settling, linear_stability, settling
from ocdl.analysis.steady import Equilibrium, SteadyStates, equilibria, equilibrium, equilibrium_of, steady_states

__all__ = [
    "Equilibrium",
    "Evolution",
    "Finding",
    "Flow",
    "GramStability",
    "Hypothesis",
    "KernelOperator",
    "LinearStability",
    "PhasePortrait",
    "Settling",
    "SingularSystem",
    "Spectrum",
    "SteadyStates",
    "equilibria",
    "equilibrium",
    "equilibrium_of",
    "gram_stability",
    "linear_stability",
    "measured_rate",
    "phase_portrait",
    "settling",
    "steady_states",
]
