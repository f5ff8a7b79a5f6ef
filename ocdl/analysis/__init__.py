"""What theory says of kernels, trajectories and networks, computed: the forward theory of Liu and Markowich.
Every answer names the theorem, its hypotheses as they were measured, and the conclusion. Knows solving and below.
"""

from ocdl.analysis.cells import Cells
from ocdl.analysis.findings import Finding, Hypothesis
from ocdl.analysis.flow import Evolution, Flow
from ocdl.analysis.fluctuation import Balance, measured_balance
from ocdl.analysis.fokker_planck import Ensemble, FokkerPlanck
from ocdl.analysis.liouville import Carried, Liouville
from ocdl.analysis.operators import KernelOperator, SingularSystem

__all__ = [
    "Balance",
    "Carried",
    "Cells",
    "Ensemble",
    "Evolution",
    "Finding",
    "Flow",
    "FokkerPlanck",
    "Hypothesis",
    "KernelOperator",
    "Liouville",
    "SingularSystem",
    "measured_balance",
]
