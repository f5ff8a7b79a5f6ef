"""What theory says of kernels, trajectories and networks, computed: the forward theory of Liu and Markowich.
Every answer names the theorem, its hypotheses as they were measured, and the conclusion. Knows solving and below.
"""

from ocdl.analysis.contraction import EnergyEstimate, contractive_flow, energy_estimate
from ocdl.analysis.findings import Finding, Hypothesis
from ocdl.analysis.flow import Evolution, Flow
from ocdl.analysis.operators import KernelOperator, SingularSystem

__all__ = [
    "EnergyEstimate",
    "Evolution",
    "Finding",
    "Flow",
    "Hypothesis",
    "KernelOperator",
    "SingularSystem",
    "contractive_flow",
    "energy_estimate",
]
