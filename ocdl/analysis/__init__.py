"""What theory says of kernels, trajectories and networks, computed: the forward theory of Liu and Markowich.
Every answer names the theorem, its hypotheses as they were measured, and the conclusion. Knows solving and below.
"""

from ocdl.analysis.adversarial import AdversarialCertificate
from ocdl.analysis.cells import keeps_class
from ocdl.analysis.conditioning import Conditioning
from ocdl.analysis.findings import Finding, Hypothesis
from ocdl.analysis.flow import Evolution, Flow
from ocdl.analysis.operators import KernelOperator, SingularSystem
from ocdl.analysis.robustness import Robustness

__all__ = [
    "AdversarialCertificate",
    "Conditioning",
    "Evolution",
    "Finding",
    "Flow",
    "Hypothesis",
    "KernelOperator",
    "Robustness",
    "SingularSystem",
    "keeps_class",
]
