"""What theory says of kernels, trajectories and networks, computed: the forward theory of Liu and Markowich.
Every answer names the theorem, its hypotheses as they were measured, and the conclusion. Knows solving and below.
"""

from ocdl.analysis.findings import Finding, Hypothesis
from ocdl.analysis.finite_rank import FiniteRankFlow, ReducedEvolution
from ocdl.analysis.flow import Evolution, Flow
from ocdl.analysis.limits import ThermodynamicLimit, thermodynamic_limit
from ocdl.analysis.operators import KernelOperator, SingularSystem

__all__ = [
    "Evolution",
    "Finding",
    "FiniteRankFlow",
    "Flow",
    "Hypothesis",
    "KernelOperator",
    "ReducedEvolution",
    "SingularSystem",
    "ThermodynamicLimit",
    "thermodynamic_limit",
]
