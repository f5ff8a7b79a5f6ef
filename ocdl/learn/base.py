"""What all estimators have in common: their fields, the problem they state, and how it is trained."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from ocdl.depth.schemes import DepthScheme, ExplicitEuler
from ocdl.errors import InvalidInput, NotSupported, SolveFailed
from ocdl.learn.samples import WeightedSamples
from ocdl.networks.architecture import Activated
from ocdl.networks.network import network
from ocdl.nlp.training.train import Train
from ocdl.referee.outcome import Status
from ocdl.referee.solution import Solution
from ocdl.solving.compile import Plan, compile
from ocdl.solving.layered import LayeredNetwork
from ocdl.solving.method import Method
from ocdl.statement.activations import Activation, Tanh
from ocdl.statement.bounds import Box
from ocdl.statement.layout import Part
from ocdl.statement.losses import Loss, Readout
from ocdl.statement.problem import ControlProblem
from ocdl.statement.regularisers import Tikhonov

Array = NDArray[np.float64]

ROUND = 10  # iterations from one look at the validation samples to the next


@dataclass(kw_only=True, eq=False, repr=False)
class NetworkEstimator(BaseEstimator):
    """A network trained as a problem of optimal control: ``network`` states it, ``solve`` trains it.

    layers: how many. channels: states are the inputs followed by zeros, so many in all; as many as inputs by default.
    activation: σ, a class or an instance. horizon: T, the depth of all layers. scheme: of the depth, explicit.
    weight: λ of Tikhonov, (λ/2)(∫ |u|² dt + |W|² + |μ|²) beside the mean loss; 0 for none.
    bounds: of the controls by their names, ``ocdl.Box(K=(-1, 1))``.
    method: any of ocdl's; None for ``ocdl.Train`` of at most ``max_iterations`` to a gradient of ``tolerance``.
    early_stopping: set ``validation_fraction`` of the samples aside, look at their loss after every 10 iterations, end
        where for ``n_iter_no_change`` iterations it has not been lower, and keep the best.
    warm_start: ``fit`` begins where the last one ended. partial_iterations: of one ``partial_fit``.
    verbose: show a progress line.

    Inputs are taken as they are; put a ``StandardScaler`` before in a pipeline. Fitted: ``solution_``, judged by the
    referee, ``network_``, which predicts with numpy alone, ``loss_curve_`` (J by iteration), ``validation_curve_`` (a
    loss every 10), ``n_iter_``, ``n_features_in_``, ``feature_names_in_``.
    """

    architecture: ClassVar[type[Activated]]
    _takes: ClassVar[Mapping[str, Any]] = {}  # what else ``validate_data`` is to know of y

    layers: int = 5
    channels: int | None = None
    activation: type[Activation] | Activation = Tanh
    horizon: float = 1.0
    scheme: type[DepthScheme] = ExplicitEuler
    weight: float = 1e-4
    bounds: Box | None = None
    method: Method | None = None
    max_iterations: int = 200
    tolerance: float = 1e-6
    partial_iterations: int = 10
    random_state: int | np.random.RandomState | None = None
    validation_fraction: float = 0.1
    early_stopping: bool = False
    n_iter_no_change: int = 10
    warm_start: bool = False
    verbose: bool = False

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on inputs X (S, d) and y; sample_weight (S,) ≥ 0, 1 by default.

        Raises ValueError for NaN, shapes that disagree, and fields of which no network can be built.
        """
        begin = getattr(self, "solution_", None) if self.warm_start else None
        samples, held = self._samples(X, y, sample_weight, fresh=begin is None), None
        if self.early_stopping:
            samples, held = self._parted(samples)
        self._trained(samples, begin, self.max_iterations, held)
        if self.solution_.status is Status.ITERATION_LIMIT and self.n_iter_ >= self.max_iterations:
            said = f"{type(self).__name__}: {self.solution_.status.value} {self.solution_.detail}"
            warnings.warn(said, ConvergenceWarning, stacklevel=2)
        return self

    def to_onnx(self, path: str | Path) -> None:
        """Write the fitted network as an ONNX file, float64: ``inputs`` to ``output`` O and ``prediction`` h(O)."""
        check_is_fitted(self, "network_")
        self.network_.to_onnx(path)

    def to_torch(self) -> Any:
        """The fitted network as a ``torch.nn.Module``, float64: h(O), and O by ``output``."""
        check_is_fitted(self, "network_")
        return self.network_.to_torch()

    def _further(self, X: Any, y: Any, sample_weight: Any, fresh: bool) -> Self:
        """``partial_iterations`` more on these samples, from where the last ones ended."""
        samples = self._samples(X, y, sample_weight, fresh)
        self._trained(samples, getattr(self, "solution_", None), self.partial_iterations, None)
        return self

    def _samples(self, X: Any, y: Any, sample_weight: Any, fresh: bool) -> WeightedSamples:
        """What there is to train on, checked; ``fresh``: what was learnt of earlier samples' y is forgotten."""
        reset = fresh or not hasattr(self, "network_")
        X, y = validate_data(self, X, y, dtype=np.float64, reset=reset, **self._takes)
        weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        return self._labelled(WeightedSamples(X, self._targets(y, fresh), weights).distinct, fresh)

    # -- what a classifier and a regressor say ---------------------------------------------------------

    def _targets(self, y: Any, fresh: bool) -> Array:
        """y as numbers (S, K)."""
        raise NotImplementedError

    def _labelled(self, samples: WeightedSamples, fresh: bool) -> WeightedSamples:
        """The samples with labels as the loss takes them."""
        raise NotImplementedError

    def _stratum(self, samples: WeightedSamples) -> Any:
        """In equal shares of what samples are set aside; None for no matter."""
        return None

    def _in_units(self, trained: LayeredNetwork) -> LayeredNetwork:
        """The network with outputs in the units of y."""
        return trained

    def _head(self) -> tuple[Readout, Loss]:
        """Readout and loss."""
        raise NotImplementedError

    # -- the problem and its training -------------------------------------------------------------------

    def _statement(self, samples: WeightedSamples) -> ControlProblem:
        readout, loss = self._head()
        return network(
            self._architecture,
            samples.inputs,
            samples.labels,
            readout=readout,
            loss=loss,
            regulariser=Tikhonov(self.weight) if self.weight else None,
            bounds=self.bounds,
            weights=samples.weights,
            channels=self.channels,
            horizon=float(self.layers) if self.architecture.discrete else self.horizon,
        )

    @property
    def _architecture(self) -> Activated:
        """The architecture with those of its fields that the estimator has, too."""
        own = {f.name: getattr(self, f.name) for f in fields(self.architecture) if hasattr(self, f.name)}
        return self.architecture(**{name: value() if isinstance(value, type) else value for name, value in own.items()})

    @property
    def _depth(self) -> DepthScheme:
        if not (isinstance(self.scheme, type) and issubclass(self.scheme, DepthScheme)):
            raise InvalidInput(f"scheme={self.scheme!r}: a depth scheme is needed, a class such as ocdl.ExplicitEuler.")
        depth = self.scheme(self.layers)
        if not depth.tableau.explicit:
            raise NotSupported(
                f"scheme={self.scheme.__name__}: layers of an implicit scheme are equations; take ocdl.Kutta4."
            )
        return depth

    def _trained(
        self, samples: WeightedSamples, begin: Solution | None, iterations: int, held: WeightedSamples | None
    ) -> None:
        """Train from ``begin``, or from a random start, and keep what came out of it."""
        plan = compile(self._statement(samples), self._depth, self._method(iterations if held is None else ROUND))
        found = self._solved(plan, self._drawn(plan) if begin is None else begin)
        self.loss_curve_ = list(found.group("history")["cost"].values)
        self.validation_curve_: list[float] = []
        if held is not None:
            found = self._watched(plan, found, iterations, held)
        self.solution_, self.n_iter_ = found, max(1, len(self.loss_curve_) - 1)
        self.network_ = self._in_units(self._network(plan, found))

    def _solved(self, plan: Plan, begin: Solution | Mapping[str, Array]) -> Solution:
        """From ``begin``; SolveFailed where that leads to no network at all, not where it could be better."""
        found = plan.solve(start=begin, certificate="first order", on_failure="return", progress=bool(self.verbose))
        if found.status.failed and found.status is not Status.ITERATION_LIMIT:
            raise SolveFailed(f"{type(self).__name__}: {found.status.value} {found.detail}", found)
        return found

    def _drawn(self, plan: Plan) -> dict[str, Array]:
        """A random start: matrices of variance 1/columns, so that no width saturates σ, columns of 0, factors of 1."""
        generator, layout = check_random_state(self.random_state), plan.core.layout
        assert layout is not None

        def values(part: Part, *leading: int) -> Array:
            if len(part.shape) == 2:
                return np.asarray(generator.normal(size=(*leading, *part.shape)) / np.sqrt(part.shape[1]))
            return np.full((*leading, *part.shape), 0.0 if part.shape else 1.0)

        controls = {part.name: values(part, plan.depth.control_rows) for part in layout.controls}
        return controls | {part.name: values(part) for part in layout.parameters}

    def _watched(self, plan: Plan, found: Solution, iterations: int, held: WeightedSamples) -> Solution:
        """Rounds from ``found`` until the loss of the samples ``held`` back no longer falls; the best of their ends."""
        readout, loss = self._head()
        best, least, since = found, np.inf, 0
        while True:
            output = self._network(plan, found).output(held.inputs)
            each = loss.slopes(output, held.labels, np.ones(output.shape[1]), readout.link)[0]
            self.validation_curve_.append(float(np.average(each, weights=held.weights)))
            since = since + ROUND if self.validation_curve_[-1] >= least else 0
            if since == 0:
                best, least = found, self.validation_curve_[-1]
            done = len(self.loss_curve_) - 1
            if found.status is not Status.ITERATION_LIMIT or since >= self.n_iter_no_change or done >= iterations:
                return best
            found = self._solved(plan, found)
            self.loss_curve_ += list(found.group("history")["cost"].values[1:])

    def _network(self, plan: Plan, found: Solution) -> LayeredNetwork:
        """What has been trained, with σ as it was given."""
        sigma = self._architecture.activation
        return LayeredNetwork.of(plan.core, plan.depth, found, inputs=self.n_features_in_, activation=sigma)

    def _parted(self, samples: WeightedSamples) -> tuple[WeightedSamples, WeightedSamples]:
        """Samples to train on and samples to watch."""
        rows = train_test_split(
            np.arange(len(samples.weights)),
            test_size=self.validation_fraction,
            random_state=check_random_state(self.random_state),
            stratify=self._stratum(samples),
        )
        return samples[rows[0]], samples[rows[1]]

    def _method(self, iterations: int) -> Method:
        if self.method is None:
            return Train(max_iterations=iterations, tolerance=self.tolerance)
        counted = any(f.name == "max_iterations" for f in fields(self.method))
        return replace(self.method, max_iterations=iterations) if counted else self.method  # type: ignore[call-arg]

    def _output(self, X: Any) -> Array:
        """O of inputs X, (S, K)."""
        check_is_fitted(self, "network_")
        return self.network_.output(validate_data(self, X, reset=False, dtype=np.float64))
