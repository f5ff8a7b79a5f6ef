"""What theory says of kernels, trajectories and networks, computed: the forward theory of Liu and Markowich.
Every answer names the theorem, its hypotheses as they were measured, and the conclusion. Knows solving and below.
"""

from ocdl.analysis.asymptotics.contraction import EnergyEstimate, contractive_flow, energy_estimate
from ocdl.analysis.asymptotics.gram import GramStability, gram_stability, measured_rate
from ocdl.analysis.asymptotics.growth import (
    Growth,
    bounded_growth,
    gronwall,
    growth_constants,
    linear_growth,
    separation,
    stability_constants,
)
from ocdl.analysis.asymptotics.lyapunov import Estimate, Functional, Lyapunov, lyapunov
from ocdl.analysis.asymptotics.planar import PhasePortrait, phase_portrait
from ocdl.analysis.asymptotics.spectrum import Spectrum
from ocdl.analysis.asymptotics.stability import LinearStability, Settling, linear_stability, settling
from ocdl.analysis.asymptotics.steady import (
    Equilibrium,
    SteadyStates,
    equilibria,
    equilibrium,
    equilibrium_of,
    steady_states,
)
from ocdl.analysis.conditioning.adversarial import AdversarialCertificate
from ocdl.analysis.conditioning.branching import keeps_class
from ocdl.analysis.conditioning.conditioning import Conditioning
from ocdl.analysis.conditioning.robustness import Robustness
from ocdl.analysis.ensembles.cells import Cells
from ocdl.analysis.ensembles.fluctuation import Balance, measured_balance
from ocdl.analysis.ensembles.fokker_planck import Ensemble, FokkerPlanck
from ocdl.analysis.ensembles.liouville import Carried, Liouville
from ocdl.analysis.ensembles.signal import PhaseDiagram, SignalTheory, critical, phase_diagram
from ocdl.analysis.findings import Finding, Hypothesis
from ocdl.analysis.flow import Evolution, Flow
from ocdl.analysis.forward.finite_rank import FiniteRankFlow, ReducedEvolution
from ocdl.analysis.forward.limits import ThermodynamicLimit, thermodynamic_limit
from ocdl.analysis.forward.picard import Picard, picard, picard_factor
from ocdl.analysis.forward.picard_window import Window
from ocdl.analysis.operators import KernelOperator, SingularSystem
from ocdl.analysis.optimality.game import LinearQuadraticGame
from ocdl.analysis.optimality.second_order import ArcCondition, SecondOrderConditions, second_order
from ocdl.analysis.reachability.box import ReachableBox, componentwise
from ocdl.analysis.reachability.sets import ReachableSet, reachable_set
from ocdl.analysis.reachability.verdict import Reachability, Verdict, reachable

__all__ = [
    "AdversarialCertificate",
    "ArcCondition",
    "Balance",
    "Carried",
    "Cells",
    "Conditioning",
    "EnergyEstimate",
    "Ensemble",
    "Equilibrium",
    "Estimate",
    "Evolution",
    "Finding",
    "FiniteRankFlow",
    "Flow",
    "FokkerPlanck",
    "Functional",
    "GramStability",
    "Growth",
    "Hypothesis",
    "KernelOperator",
    "LinearQuadraticGame",
    "LinearStability",
    "Liouville",
    "Lyapunov",
    "PhaseDiagram",
    "PhasePortrait",
    "Picard",
    "Reachability",
    "ReachableBox",
    "ReachableSet",
    "ReducedEvolution",
    "Robustness",
    "SecondOrderConditions",
    "Settling",
    "SignalTheory",
    "SingularSystem",
    "Spectrum",
    "SteadyStates",
    "ThermodynamicLimit",
    "Verdict",
    "Window",
    "bounded_growth",
    "componentwise",
    "contractive_flow",
    "critical",
    "energy_estimate",
    "equilibria",
    "equilibrium",
    "equilibrium_of",
    "gram_stability",
    "gronwall",
    "growth_constants",
    "keeps_class",
    "linear_growth",
    "linear_stability",
    "lyapunov",
    "measured_balance",
    "measured_rate",
    "phase_diagram",
    "phase_portrait",
    "picard",
    "picard_factor",
    "reachable",
    "reachable_set",
    "second_order",
    "separation",
    "settling",
    "stability_constants",
    "steady_states",
    "thermodynamic_limit",
]
