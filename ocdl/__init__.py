"""ocdl: training a deep network is an optimal control problem.

State it once (``SelectionProblem`` or ``ControlProblem``), solve it by IPOPT, by Pontryagin's maximum principle
and by Hamilton–Jacobi–Bellman (``solve``), and see side by side where the answers agree (``compare``).
"""

from ocdl.activations import ELU, Activation, Arctan, CustomActivation, Identity, LeakyReLU, ReLU, Sigmoid, Tanh
from ocdl.bounds import Box, Free
from ocdl.campaign import Campaign, Task, multi_start, parameter_sweep, solve_many
from ocdl.certificate import Certificate
from ocdl.certify import certify
from ocdl.compare import Comparison, compare
from ocdl.control_set import ControlSet, Disc, Finite, Polygon
from ocdl.control_shapes import PerStage, PiecewiseConstant, PiecewiseLinear
from ocdl.data import Samples, digits
from ocdl.depth import (
    DepthScheme,
    ExplicitEuler,
    Gauss,
    ImplicitMidpoint,
    ImprovedEuler,
    Kutta3,
    Kutta4,
    MultipleShooting,
    Radau,
    Tableau,
)
from ocdl.errors import InvalidInput, NotSupported, NotWritten, OcdlError, SolveFailed
from ocdl.hjb import LowerBound, ValueFunction, ValueIteration, lower_bound
from ocdl.losses import CrossEntropy, HalfSquare, IdentityLink, Link, Logistic, Loss, Readout
from ocdl.method import Method, Outcome, Start, Status
from ocdl.nlp import InteriorPoint, Ipopt
from ocdl.plot import plot_comparison, plot_solution
from ocdl.pmp import (
    LBFGSB,
    ConditionalGradient,
    ControlSetNeedleSteps,
    DiscreteNeedleSteps,
    ExtendedSuccessiveApproximations,
    GradientDescent,
    IndirectShooting,
    NeedleSteps,
    PolishedSolution,
    ProjectedGradient,
    ProjectedNewton,
    ProximalAlternatingMinimisation,
    SequentialQuadraticHamiltonian,
    StochasticGradient,
    SuccessiveApproximations,
    polish,
    principle_gaps,
    switching_structure,
)
from ocdl.predict import accuracy, predict
from ocdl.problem import ControlProblem
from ocdl.refine import Refinement, continuation, refine, sequence
from ocdl.regularisers import Regulariser, Tikhonov
from ocdl.selection import Grid, SelectionProblem
from ocdl.solution import Solution, load
from ocdl.solve import solve
from ocdl.width import ClenshawCurtis, GaussLegendre, Midpoint, Nodes, TensorProduct, Trapezoid
