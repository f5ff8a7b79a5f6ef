"""What theory says of kernels, trajectories and networks, computed: the forward theory of Liu and Markowich.
Every answer names the theorem, its hypotheses as they were measured, and the conclusion. Knows solving and below.
"""

from ocdl.analysis.findings import Finding, Hypothesis
from ocdl.analysis.flow import Evolution, Flow
from ocdl.analysis.operators import KernelOperator, SingularSystem
from ocdl.analysis.reachability.box import ReachableBox, componentwise
from ocdl.analysis.reachability.sets import ReachableSet, reachable_set
from ocdl.analysis.reachability.verdict import Reachability, Verdict, reachable

__all__ = [
    "Evolution",
    "Finding",
    "Flow",
    "Hypothesis",
    "KernelOperator",
    "Reachability",
    "ReachableBox",
    "ReachableSet",
    "SingularSystem",
    "Verdict",
    "componentwise",
    "reachable",
    "reachable_set",
]
