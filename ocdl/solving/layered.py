"""A trained network of dense layers as plain arrays: it predicts with numpy alone, is saved without code, and exported.

x_0 = E·input + e,   X_i = x_k + h_k Σ_j a_ij φ_k(X_j),   x_{k+1} = x_k + h_k Σ_i b_i φ_k(X_i),
φ_k(x) = V σ(W x + v) + S x + r,   O = A x_N + μ,   prediction h(O).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ocdl.arrays import finite_array, is_real
from ocdl.depth.control_shapes import PiecewiseConstant
from ocdl.depth.explicit_step import explicit_step
from ocdl.depth.schemes import DepthScheme, Tableau
from ocdl.errors import InvalidInput, NotSupported, NotWritten
from ocdl.files import whole_file
from ocdl.offers import offered
from ocdl.referee.labels import coefficients
from ocdl.referee.solution import Solution
from ocdl.solving.compile import Problem, discretised
from ocdl.statement.activations import Activation
from ocdl.statement.losses import Link
from ocdl.statement.readout_loss import ReadoutLoss
from ocdl.statement.selection import Grid
from ocdl.sweeps.fused.form import LayerArrays
from ocdl.sweeps.fused.layer import DenseLayer, layers_of_steps
from ocdl.sweeps.fused.recognise import dense_form
from ocdl.sweeps.sweeper import Sweeper

Array = NDArray[np.float64]

FORMAT = "ocdl layered network 1"
ENDS = ("entrance", "readout")
FAMILIES: dict[str, type] = {"activation": Activation, "link": Link}


@dataclass(frozen=True, eq=False)
class Affine:
    """x ↦ x weightᵀ + bias, of rows x: weight (rows, columns), bias (rows,)."""

    weight: Any
    bias: Any

    def __call__(self, x: Any) -> Any:
        return x @ self.weight.T + self.bias


@dataclass(frozen=True, eq=False)
class LayeredNetwork:
    """A network of dense layers (see the module's formula); call it with inputs (S, d) for its predictions (S, K).

    layers: the coefficients of the N layers, or of their N·s stages; widths: h (N,); entrance: E and e; readout: A and
    μ; link: h. Its formula takes whatever knows numpy's functions, so that exports trace it.
    Raises NotSupported for implicit schemes.
    """

    layers: LayerArrays
    widths: Array
    tableau: Tableau
    activation: Activation
    entrance: Affine
    readout: Affine
    link: Link

    def __post_init__(self) -> None:
        if not self.tableau.explicit:
            raise NotSupported(
                "LayeredNetwork: layers of an implicit scheme are equations, not formulas; train on an explicit one, "
                "such as ocdl.ExplicitEuler or ocdl.Kutta4."
            )

    @classmethod
    def of(
        cls,
        problem: Problem,
        grid: Grid | DepthScheme,
        solution: Solution,
        *,
        inputs: int | None = None,
        activation: Activation | None = None,
    ) -> Self:
        """The network that a solution of a learning problem has trained.

        inputs: how many there are, where x_0 is the inputs followed by zeros; all n states by default.
        activation: σ as it was given, where it is a user's own, which exports cannot tell from the formulas alone.
        Raises NotSupported where the layers are not dense, their scheme is implicit, or the terminal cost is no loss
        of a readout.
        """
        core, depth = discretised(problem, grid)
        form = dense_form(core)
        terminal = core.terminal
        if form is None:
            raise NotSupported(
                "LayeredNetwork.of(problem, ...): its formulas are not those of dense layers, Vσ(z) + Sx + r."
            )
        if not isinstance(terminal, ReadoutLoss):
            raise NotSupported("LayeredNetwork.of(problem, ...): the terminal cost is no loss of a readout.")
        u, p = coefficients(core, depth, solution)
        rows = u if isinstance(depth.controls, PiecewiseConstant) else Sweeper(core, depth).stage_controls(u)
        n = core.n
        ends = (np.eye(n), np.zeros(n)) if terminal.output.features is None else terminal.output.arrays(p)
        return cls(
            layers=form.coefficients.arrays(rows, p),
            widths=np.diff(depth.mesh(core.span)),
            tableau=depth.tableau,
            activation=form.activation if activation is None else _same(activation, form.activation),
            entrance=Affine(np.eye(n, n if inputs is None else inputs), np.zeros(n)),
            readout=Affine(*ends),
            link=terminal.link,
        )

    def __call__(self, inputs: Any) -> Array:
        """h(O) of inputs (S, d), (S, K)."""
        return np.asarray(self.link(self.output(inputs)))

    def output(self, inputs: Any) -> Array:
        """O of inputs (S, d), (S, K)."""
        return np.asarray(self.formula(self._rows(inputs)))

    def features(self, inputs: Any) -> Array:
        """The states x_0, …, x_N of inputs (S, d), (N+1, S, n): what each layer makes of them."""
        return np.stack(list(self.flow(self.entrance(self._rows(inputs)))))

    def formula(self, inputs: Any) -> Any:
        """O of inputs (S, d), whatever arrays they are."""
        *_, final = self.flow(self.entrance(inputs))
        return self.readout(final)

    def flow(self, x: Any) -> Iterator[Any]:
        """The states x_0, …, x_N from x_0 = x (S, n), one after the other."""
        yield x
        steps = layers_of_steps(self.activation, self.layers, self.tableau.stages, len(self.widths))
        for h, layers in zip(self.widths.tolist(), steps, strict=True):
            _, x = explicit_step(self.tableau, h, layers, x)
            yield x

    def velocity(self, q: int, x: Any) -> Any:
        """φ of layer, or stage, q at x (S, n)."""
        return DenseLayer.of(self.activation, self.layers, q)(x)

    def to_onnx(self, path: str | Path) -> None:
        """Write an ONNX file, float64: ``inputs`` (S, d) to ``output`` O and ``prediction`` h(O). Needs onnx."""
        offered("to_onnx")(self, path)

    def to_torch(self) -> Any:
        """A ``torch.nn.Module``, float64: h(O), and O by ``output``; it can be trained on. Needs torch."""
        return offered("to_torch")(self)

    def save(self, path: str | Path) -> None:
        """Write all arrays and names to an npz file, no code; ``LayeredNetwork.load`` reads it."""
        said = f"save({str(path)!r})"
        named = {name: _said(said, getattr(self, name)) for name in FAMILIES} | {"format": FORMAT}
        scheme = {"widths": self.widths, "A": self.tableau.A, "b": self.tableau.b, "order": self.tableau.order}
        held: dict[str, Any] = self.coefficients | scheme | named
        try:
            with whole_file(Path(path)) as part, open(part, "wb") as file:
                np.savez(file, **held)
        except OSError as error:
            raise NotWritten(f"{said}: this file cannot be written; {error.strerror or error}.") from error

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what ``save`` wrote; data only, no code is ever executed. Raises InvalidInput for any other file."""
        try:
            with np.load(path, allow_pickle=False) as file:
                held = dict(file)
            if str(held["format"]) != FORMAT:
                raise ValueError("it is marked otherwise")
            tableau = Tableau(held["A"], held["b"], held["A"].sum(axis=1), int(held["order"]))
            sigma, link = (_named(family, str(held[name])) for name, family in FAMILIES.items())
            network = cls(widths=held["widths"], tableau=tableau, activation=sigma, link=link, **_parts(held))
            network.output(np.zeros((1, network.entrance.weight.shape[1])))
        except Exception as error:  # numpy, zip and JSON raise what they like
            said = f"LayeredNetwork.load({str(path)!r})"
            raise InvalidInput(f"{said}: a file that LayeredNetwork.save wrote is needed; {error}.") from None
        return network

    @property
    def coefficients(self) -> dict[str, Any]:
        """All that is trained, and the entrance, by name: W, v and of V, S, r those that are there."""
        layers = {name: part for name, part in self.layers._asdict().items() if part is not None}
        return layers | {
            f"{end}_{name}": getattr(getattr(self, end), name) for end in ENDS for name in ("weight", "bias")
        }

    def with_coefficients(self, held: Mapping[str, Any]) -> Self:
        """The same network with other ``coefficients``, whatever arrays they are."""
        return replace(self, **_parts(held))

    def _rows(self, inputs: Any) -> Array:
        given, d = finite_array("inputs", inputs), self.entrance.weight.shape[1]
        if given.ndim != 2 or given.shape[1] != d:
            raise InvalidInput(f"inputs: shape (S, {d}) is needed, one sample a row; got {given.shape}.")
        return given


def _same(given: Activation, found: Activation) -> Activation:
    """The σ that was given, if it is the one of the formulas."""
    s = np.linspace(-3.0, 3.0, 25)
    if not np.allclose(given(s), found(s), rtol=1e-12, atol=1e-12):
        raise InvalidInput(f"LayeredNetwork.of(activation={given!r}): the layers of this problem have another one.")
    return given


def _parts(held: Mapping[str, Any]) -> dict[str, Any]:
    """Layers, entrance and readout from ``coefficients``."""
    layers = LayerArrays(**{name: held.get(name) for name in LayerArrays._fields})  # type: ignore[arg-type]
    return {"layers": layers} | {end: Affine(held[f"{end}_weight"], held[f"{end}_bias"]) for end in ENDS}


def _said(said: str, member: Activation | Link) -> str:
    """An activation or a link as its name and its numbers."""
    own = {f.name: getattr(member, f.name) for f in fields(member)}
    if not all(is_real(value) for value in own.values()):
        raise NotSupported(f"{said}: {member!r} is made of code, and files hold none; save the Solution instead.")
    return json.dumps({"name": type(member).__name__, **own})


def _named(family: Any, said: str) -> Any:
    """The member of a family with this name and these numbers."""
    own = json.loads(said)
    members = {member.__name__: member for member in family.__subclasses__()}
    return members[own.pop("name")](**own)
