"""Every public name and its home. ``ocdl`` reads them here and loads each when it is asked for; type checkers do too.

What is slow to load and not always used is loaded inside the functions that use it (rich, tqdm, netCDF4, h5py,
matplotlib), at the first labelled array (xarray, by ``ocdl.xr``), or by scipy itself at the first ``scipy.linalg.…``,
therefore ``import scipy`` and never ``from scipy.linalg import …``.
"""

from ocdl.campaign import Campaign, Task, multi_start, parameter_sweep, solve_many
from ocdl.comparison.compare import Comparison, compare
from ocdl.depth.control_shapes import PerStage, PiecewiseConstant, PiecewiseLinear
from ocdl.depth.schemes import (
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
from ocdl.doors.exports import to_onnx, to_torch
from ocdl.doors.learning_plots import plot_features, plot_images, plot_learning, plot_regions, plot_steps
from ocdl.doors.plot import plot_comparison, plot_phases, plot_solution
from ocdl.doors.theory.amplification import plot_amplification
from ocdl.doors.theory.decay import plot_decay
from ocdl.doors.theory.phase_portrait import plot_phase_portrait
from ocdl.doors.theory.reachable import plot_reachable
from ocdl.doors.theory.spectra import plot_spectrum
from ocdl.doors.value_plots import plot_value
from ocdl.errors import InvalidInput, NotSupported, NotWritten, OcdlError, SolveFailed
from ocdl.hjb import LowerBound, ValueFunction, ValueIteration, lower_bound
from ocdl.hjb.diffusion.stochastic_value import StochasticValue
from ocdl.hjb.diffusion.stochastic_value_iteration import StochasticValueIteration
from ocdl.networks.antisymmetric import Antisymmetric
from ocdl.networks.architecture import Architecture
from ocdl.networks.chain import Chain
from ocdl.networks.contractive import Contractive
from ocdl.networks.convolutional import Convolutional
from ocdl.networks.hamiltonian import Hamiltonian, Leapfrog
from ocdl.networks.kernels import (
    BoundedKernel,
    ConvolutionKernel,
    DenseKernel,
    DissipativeKernel,
    GramKernel,
    Kernel,
    LowRankKernel,
    SymmetricKernel,
)
from ocdl.networks.network import network
from ocdl.networks.odenet import ODENet
from ocdl.networks.plain import Plain
from ocdl.networks.residual import Residual
from ocdl.networks.steps import FullyConnected, Projection, Skip, Step
from ocdl.nlp import (
    LBFGS,
    AdversarialTraining,
    InteriorPoint,
    Ipopt,
    LevenbergMarquardt,
    NeighbouringExtremals,
    NewtonCG,
    SaddlePoint,
    Train,
    neighbouring,
    saddle,
)
from ocdl.pmp import (
    LBFGSB,
    Arc,
    AugmentedLagrangian,
    ConditionalGradient,
    ControlSetNeedleSteps,
    DiscreteNeedleSteps,
    ExtendedSuccessiveApproximations,
    GradientDescent,
    IndirectShooting,
    NeedleSteps,
    PolishedArcs,
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
from ocdl.referee.certificate import Certificate
from ocdl.referee.certify import certify
from ocdl.referee.outcome import Outcome, Status
from ocdl.referee.phases import PhasesSolution
from ocdl.referee.solution import Solution, load
from ocdl.referee.summary import Summary
from ocdl.solving.adversary import Adversary, Ascent, TrustRegion
from ocdl.solving.compile import Plan, compile
from ocdl.solving.confidence import Confidence, confidence
from ocdl.solving.layered import LayeredNetwork
from ocdl.solving.learning import learning_curve
from ocdl.solving.method import Method, Start
from ocdl.solving.population import PopulationCertificate, PopulationProblem, population_certificate
from ocdl.solving.predict import accuracy, features, predict
from ocdl.solving.refine import Refinement, continuation, refine
from ocdl.solving.sequence import sequence
from ocdl.solving.simulate import simulate
from ocdl.solving.simulation import Simulation
from ocdl.solving.solve import solve
from ocdl.solving.through import through
from ocdl.solving.unstacked import Unstacked, unstacked
from ocdl.solving.widened import widened
from ocdl.statement.activations import (
    ELU,
    Activation,
    Arctan,
    CustomActivation,
    Identity,
    LeakyReLU,
    ReLU,
    Sigmoid,
    Tanh,
)
from ocdl.statement.ball import Ball
from ocdl.statement.bounds import Box, Free
from ocdl.statement.budget import Budget
from ocdl.statement.class_weights import class_weights
from ocdl.statement.control_set import ControlSet, Disc, Finite, Polygon
from ocdl.statement.data import Samples, digits
from ocdl.statement.delay import DelayProblem
from ocdl.statement.implicit import Implicit
from ocdl.statement.losses import (
    CrossEntropy,
    HalfSquare,
    IdentityLink,
    Link,
    Logistic,
    Loss,
    Readout,
    Softmax,
    SoftmaxCrossEntropy,
)
from ocdl.statement.measurements import Measurements
from ocdl.statement.moments import moments
from ocdl.statement.phases import Phases
from ocdl.statement.point_sets import donut1d, donut2d, sine, spiral, squares
from ocdl.statement.populations import Empirical, Mixture, Normal, Points, Population, Uniform
from ocdl.statement.problem import ControlProblem
from ocdl.statement.regularisers import L1, Regulariser, Tikhonov
from ocdl.statement.risk import CVaR, Exponential, Risk, WorstCase
from ocdl.statement.selection import Grid, SelectionProblem
from ocdl.statement.stability import Amplification, Dissipative, Nonexpansive, Stability
from ocdl.statement.table import Table
from ocdl.statement.width import ClenshawCurtis, GaussLegendre, Midpoint, Nodes, TensorProduct, Trapezoid
from ocdl.sweeps.fused.spread import spread
