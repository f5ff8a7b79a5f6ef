"""How far an input of a classification may move before another class is told: proven from below, attacked from above.

    m(x) = min_j (O_c − O_j)(x),   certified ≤ min {|δ| : m(x + δ) ≤ 0} ≤ attacked,

with |δ| the 2-norm of the inputs; states beyond the inputs begin at 0 and stay so. The linearised radius
min_j m_j / |∇m_j| lies on no known side. Source: Liu and Markowich, sections 2.3 and 3.5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ocdl.analysis.conditioning.attacks import Margins, nearest_other
from ocdl.analysis.conditioning.certificates import Deviation
from ocdl.analysis.conditioning.lipschitz import network_bound
from ocdl.analysis.findings import Finding, Hypothesis
from ocdl.arrays import Array, finite_array
from ocdl.errors import InvalidInput, NotSupported
from ocdl.solving.layered import LayeredNetwork
from ocdl.statement.losses import Logistic, Softmax
from ocdl.tables import plain_table, plain_text

SEARCHES = 16  # of radii, by doubling and bisection: to 1e-4 of the linearised one
AT_ONCE = 1 << 22  # entries of generators
ROUNDED = 1e-9  # of a radius or a bound, given away to rounding


@dataclass(frozen=True, eq=False)
class Robustness:
    """What is known of S samples, each (S,): the class that is ``told`` and whether it is ``right``; the ``margin``, at
    most 0 where it is not; radii, all 0 there: ``certified``, the largest of the proven ``bounds`` by name,
    ``linearised`` and ``attacked``, with the ``changes`` (S, d) that reach it (infinite and NaN where none is found).
    """

    network: LayeredNetwork
    told: Any
    right: Any
    margin: Array
    bounds: Mapping[str, Array]
    linearised: Array
    attacked: Array
    changes: Array

    @classmethod
    def of(cls, network: LayeredNetwork, inputs: Any, labels: Any = None) -> Robustness:
        """network: ``ocdl.LayeredNetwork.of(problem, grid, solution, inputs=d)``, which ends in one Logistic output or
        in a Softmax; inputs (S, d); labels: classes (S,), by default those that it tells.

        Raises NotSupported for other links, and for activations whose slopes are not known.
        """
        x, output = finite_array("inputs", inputs), network.output(inputs)
        told = _told(network, output)
        classes = told if labels is None else _classes(labels, told, max(2, output.shape[1]))
        rows, offsets = _margins(network, classes)
        J, (S, d) = rows.shape[1], x.shape
        flat = Margins(network, np.repeat(x, J, axis=0), rows.reshape(S * J, -1), offsets.ravel())
        value, gradient = flat.gradient(np.zeros_like(flat.x))
        margins, right = value.reshape(S, J), told == classes
        size = np.linalg.norm(gradient, axis=1).reshape(S, J)
        linear = np.min(np.divide(margins, size, out=np.full((S, J), np.inf), where=size > 0.0), axis=1)
        changes = nearest_other(flat).reshape(S, J, d)
        length = np.nan_to_num(np.linalg.norm(changes, axis=2), nan=np.inf)
        best = np.arange(S), np.argmin(length, axis=1)
        return cls(
            *(network, told, right, margins.min(axis=1)),
            bounds={
                "global": _globally(network, rows, margins) * right,
                "local": np.where(right, _locally(network, x, rows, margins, linear), 0.0),
            },
            linearised=np.where(right, linear, 0.0),
            attacked=np.where(right, length[best], 0.0),
            changes=np.where(right[:, None], changes[best], 0.0),
        )

    @property
    def certified(self) -> Array:
        """The largest radius that is proven, (S,)."""
        return np.max(list(self.bounds.values()), axis=0)

    @property
    def ratio(self) -> Array:
        """certified / attacked of the samples told rightly: at 1 the radius is known."""
        return self.certified[self.right] / self.attacked[self.right]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The certificate, and whether the attacks respect it."""
        reached = self.right & np.isfinite(self.attacked)
        spare = float(np.min((self.attacked - self.certified)[reached], initial=np.inf))
        share, least = int(np.sum(self.right)), float(np.min(self.certified[self.right], initial=np.inf))
        proof = "Secant slopes in a ball (zonotopes of layers), and Lipschitz constants (products of norms)"
        return (
            Finding(
                proof,
                (
                    Hypothesis.declared("σ' turns only at 0", True),
                    Hypothesis("a sample is told rightly", share, 1.0),
                    Hypothesis("no attack is nearer than what is proven", spare),
                ),
                f"{share} of {self.right.size} samples keep their class, up to rounding, in balls of radius "
                f"{least:.4g} or more; in the median {self._median(self.certified):.4g} is certified, "
                f"{self._median(self.attacked):.4g} attacked",
            ),
        )

    def __str__(self) -> str:
        """Quantiles over the samples told rightly."""
        table = plain_table()
        for name in ("of samples told rightly", "least", "a quarter", "median", "three quarters", "largest"):
            table.add_column(name, justify="left" if name.startswith("of") else "right")
        named = {f"certified, {name}": values for name, values in self.bounds.items()}
        named = {"margin": self.margin, "certified": self.certified} | named
        for name, values in (named | {"linearised": self.linearised, "attacked": self.attacked}).items():
            _add_quantiles(table, name, values[self.right])
        _add_quantiles(table, "certified / attacked", self.ratio)
        return plain_text([table, *map(str, self.findings)])

    def _median(self, values: Array) -> float:
        return float(np.quantile(values[self.right], 0.5, method="lower")) if np.any(self.right) else 0.0


def _add_quantiles(table: Any, name: str, values: Array) -> None:
    if values.size:
        table.add_row(name, *(f"{q:.4g}" for q in np.quantile(values, [0, 0.25, 0.5, 0.75, 1], method="lower")))


def _told(network: LayeredNetwork, output: Array) -> Any:
    """The classes that outputs (S, K) tell."""
    if isinstance(network.link, Logistic) and output.shape[1] == 1:
        return (output[:, 0] > 0.0).astype(int)
    if isinstance(network.link, Softmax):
        return output.argmax(axis=1)
    raise NotSupported(
        f"Robustness.of(network): one output behind ocdl.Logistic() or several behind ocdl.Softmax() tell a class; "
        f"this network has {output.shape[1]} behind {network.link!r}."
    )


def _classes(labels: Any, told: Any, K: int) -> Any:
    given = finite_array("labels", labels)
    if given.shape != told.shape or np.any(given != np.round(given)) or given.min() < 0 or given.max() >= K:
        raise InvalidInput(f"labels: {told.size} classes from 0 to {K - 1} are needed; got shape {given.shape}.")
    return given.astype(int)


def _margins(network: LayeredNetwork, classes: Any) -> tuple[Array, Array]:
    """g (S, J, n) and c (S, J) of m_j = g_j·x_N + c_j, over all other classes j."""
    A, mu = network.readout.weight, network.readout.bias
    if len(A) == 1:
        sign = np.where(classes == 1, 1.0, -1.0)[:, None]
        return sign[:, :, None] * A, sign * mu
    others = np.stack([np.delete(np.arange(len(A)), c) for c in classes])
    return A[classes][:, None] - A[others], mu[classes][:, None] - mu[others]


def _globally(network: LayeredNetwork, rows: Array, margins: Array) -> Array:
    """The radius (S,) in which Lipschitz constants of the whole network leave the margins positive."""
    slopes = network_bound(network) * np.linalg.norm(rows, axis=2)
    held = np.divide(margins, slopes, out=np.full(margins.shape, np.inf), where=slopes > 0.0)
    return np.asarray((1.0 - ROUNDED) * np.maximum(held.min(axis=1), 0.0))


def _locally(network: LayeredNetwork, x: Array, rows: Array, margins: Array, start: Array) -> Array:
    """The largest radius (S,) found whose ball leaves the margins positive, by doubling and bisection from a start."""
    Q, (k, n) = len(network.widths) * network.tableau.stages, network.layers.W.shape[1:]
    block = max(1, AT_ONCE // (n * (x.shape[1] + k * Q)))
    found = np.zeros(len(x))
    for begin in range(0, len(x), block):
        part = slice(begin, begin + block)
        found[part] = _searched(network, x[part], rows[part], margins[part], start[part])
    return found


def _searched(network: LayeredNetwork, x: Array, rows: Array, margins: Array, start: Array) -> Array:
    low, high = np.zeros(len(x)), np.full(len(x), np.inf)
    r = np.where(np.isfinite(start) & (start > 0.0), start, 1.0)
    for _ in range(SEARCHES):
        held = np.all(margins > (1.0 + ROUNDED) * Deviation.of(network, x, r).bound(rows), axis=1)
        low, high = np.where(held, r, low), np.where(held, high, r)
        r = np.where(np.isinf(high), 2.0 * r, 0.5 * (low + np.where(np.isinf(high), 0.0, high)))
    return low
