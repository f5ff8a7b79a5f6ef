"""Losses and readouts: what the output of the network is, and what an error costs.

The output of a sample is O(y) = f(y,T), or O = ∫ W f dz + μ behind a ``Readout``; the prediction is h(O)
with the link h. A loss is a formula ``density(output, label, link)``, integrated over the output; one that couples the
outputs writes its ``total``. Beside the formula stand its derivatives in numbers, for blocks of samples.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import casadi as ca
import numpy as np

from ocdl.arrays import Array, is_whole
from ocdl.errors import InvalidInput
from ocdl.statement.bounds import Box

ROUNDING = 1e-9  # by which the shares of the classes may miss 1


@dataclass(frozen=True)
class Link:
    """h, from output to prediction; ``pointwise``: every output by itself."""

    pointwise: ClassVar[bool] = True

    def __call__(self, output: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no formula")

    def slopes(self, output: Array) -> tuple[Array, Any]:
        """h and h' of an array; a number where it is one everywhere."""
        raise NotImplementedError(f"{type(self).__name__} has no derivatives in numbers")

    def bend(self, output: Array) -> Any:
        """h'' of an array."""
        raise NotImplementedError(f"{type(self).__name__} has no derivatives in numbers")

    @property
    def known(self) -> bool:
        """``slopes`` and ``bend`` are of this very formula."""
        return _written_together(self, {"__call__"}, {"slopes", "bend"})


class IdentityLink(Link):
    """h(O) = O."""

    def __call__(self, output: Any) -> Any:
        return output

    def slopes(self, output: Array) -> tuple[Array, Any]:
        return output, 1.0

    def bend(self, output: Array) -> Any:
        return 0.0


class Logistic(Link):
    """h(O) = e^O / (1 + e^O), the logistic regression function of Liu and Markowich, section 2.3."""

    def __call__(self, output: Any) -> Any:
        return 0.5 * (1.0 + np.tanh(0.5 * output))

    def slopes(self, output: Array) -> tuple[Array, Any]:
        half = np.tanh(0.5 * output)
        return 0.5 * (1.0 + half), 0.25 * (1.0 - half * half)

    def bend(self, output: Array) -> Any:
        half = np.tanh(0.5 * output)
        return -0.25 * half * (1.0 - half * half)


class Softmax(Link):
    """h(O)_k = e^{O_k} / Σ_l e^{O_l}: probabilities of K classes; of arrays along the last axis."""

    pointwise = False

    def __call__(self, output: Any) -> Any:
        if isinstance(output, ca.SX | ca.MX | ca.DM):
            powers = ca.exp(output - ca.mmax(output))
            return powers / ca.sum1(powers)
        powers = np.exp(output - np.max(output, axis=-1, keepdims=True))
        return powers / np.sum(powers, axis=-1, keepdims=True)


class _ReadoutBox(Box):
    said = "Readout"


@dataclass(frozen=True)
class Readout:
    """O = ∫ W(z) f(z,T) dz + μ with prediction h(O); W and μ are trained within their intervals.

    ``outputs``: the number K of outputs, each with its own W (K, M) and μ (K,), of unit weight;
    or ``"width"`` for an output O(y) = ∫ W(y,z) f(z) dz + μ(y) on the same Y (Liu and Markowich, (2.9)).
    ``weight`` and ``bias`` are intervals (lower, upper); equal ends fix the readout.
    """

    link: Link = field(default_factory=Logistic)
    outputs: int | str = 1
    weight: tuple[Any, Any] = (-np.inf, np.inf)
    bias: tuple[Any, Any] = (-np.inf, np.inf)

    def __post_init__(self) -> None:
        if self.outputs != "width" and not (is_whole(self.outputs) and int(self.outputs) >= 1):
            raise InvalidInput(
                f"Readout(outputs={self.outputs!r}): outputs is a positive number of outputs or 'width'."
            )
        if not isinstance(self.link, Link):
            raise InvalidInput(f"Readout(link={self.link!r}): link is one of ocdl's links, e.g. ocdl.Logistic().")
        if not self.link.pointwise and self.outputs in ("width", 1):
            raise InvalidInput(
                f"Readout(link={self.link!r}, outputs={self.outputs!r}): this link shares one among at least two "
                "outputs; give their number."
            )
        _ = self.box

    @property
    def box(self) -> Box:
        """The intervals of W and μ."""
        return _ReadoutBox(weight=self.weight, bias=self.bias)

    def ends(self, K: int, r: int) -> tuple[Array, Array]:
        """Lower and upper bounds of [W (K, r) row by row, μ (K,)]."""
        pairs = self.box.interval("weight", (K, r)), self.box.interval("bias", (K,))
        low, high = (np.concatenate([pair[end].ravel() for pair in pairs]) for end in (0, 1))
        return low, high


@dataclass(frozen=True)
class Loss:
    """Base of the losses; ``labels`` is the interval in which its labels must lie.

    A new loss writes ``density``, or ``total`` where outputs meet. Who also writes ``slopes`` and ``curvature`` is
    evaluated in numbers; all others are differentiated by CasADi.
    """

    labels: ClassVar[tuple[float, float]] = (-np.inf, np.inf)
    squares: ClassVar[bool] = False  # ½ Σ w ρ², so that ``residuals`` is offered

    def density(self, output: Any, label: Any, link: Callable[[Any], Any]) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no density")

    def total(self, output: Any, label: Any, weights: Array, link: Callable[[Any], Any]) -> Any:
        """The loss of one sample, of CasADi columns O and c (K,), with quadrature weights (K,) of the output."""
        return ca.dot(weights, self.density(output, label, link))

    def check(self, link: Link) -> None:
        """Raise InvalidInput where this loss cannot follow ``link``."""

    def label_rows(self, said: str, labels: Array, samples: int, outputs: int) -> Array:
        """Labels as the formula takes them, (S, K), from one number for all, (S,) for K = 1, or (S, K).

        Raises InvalidInput, which begins with what is ``said``, for other shapes.
        """
        if labels.size == 1:
            return np.full((samples, outputs), labels.item())
        rows = labels[:, None] if labels.ndim == 1 and outputs == 1 else labels
        if rows.shape != (samples, outputs):
            classes = labels.shape == (samples,)
            hint = (
                " Classes are the labels of SoftmaxCrossEntropy(), behind Readout(link=Softmax())." if classes else ""
            )
            raise InvalidInput(
                f"{said}: {samples} sample(s) with {outputs} output(s) need labels of shape ({samples}, {outputs}); "
                f"got {labels.shape}.{hint}"
            )
        return rows

    def check_labels(self, said: str, labels: Array) -> None:
        """Raise InvalidInput where labels lie outside their interval."""
        low, high = self.labels
        if labels.min() < low or labels.max() > high:
            raise InvalidInput(
                f"{said}: {type(self).__name__} needs labels in [{low:g}, {high:g}]; "
                f"they range over [{labels.min():g}, {labels.max():g}]."
            )

    # -- in numbers: O and c (S, K), weights (K,) ----------------------------------------------------

    def known(self, link: Link) -> bool:
        """``slopes``, ``curvature`` and ``residuals`` are of this very formula with this very link."""
        needed = {"slopes", "curvature", *(["residuals"] if self.squares else [])}
        return _written_together(self, {"density", "total"}, needed)

    def slopes(self, output: Array, label: Array, weights: Array, link: Link) -> tuple[Array, Array]:
        """The losses (S,) and their gradients in the outputs (S, K)."""
        raise NotImplementedError(f"{type(self).__name__} has no derivatives in numbers")

    def curvature(
        self, output: Array, label: Array, weights: Array, link: Link, along: Array, *, gauss_newton: bool = False
    ) -> Array:
        """The Hessian in the outputs times ``along`` (S, K); its part that is nowhere negative for ``gauss_newton``."""
        raise NotImplementedError(f"{type(self).__name__} has no derivatives in numbers")

    def residuals(self, output: Array, label: Array, weights: Array, link: Link) -> tuple[Array, Array]:
        """ρ (S, K) with loss ½ |ρ|², and ∂ρ_k/∂O_k (S, K)."""
        raise NotImplementedError(f"{type(self).__name__} is no sum of squares")


class HalfSquare(Loss):
    """½ ∫ (h(O) − c)² dy, Liu and Markowich, section 2.4.

    The Gauss–Newton part of its Hessian is h'², without (h − c) h''.
    """

    squares = True

    def density(self, output: Any, label: Any, link: Callable[[Any], Any]) -> Any:
        return 0.5 * (link(output) - label) ** 2

    def known(self, link: Link) -> bool:
        return super().known(link) and link.pointwise and link.known

    def slopes(self, output: Array, label: Array, weights: Array, link: Link) -> tuple[Array, Array]:
        value, slope = link.slopes(output)
        error = value - label
        weighed = error * weights
        return 0.5 * np.einsum("sk,sk->s", weighed, error), weighed * slope

    def curvature(
        self, output: Array, label: Array, weights: Array, link: Link, along: Array, *, gauss_newton: bool = False
    ) -> Array:
        value, slope = link.slopes(output)
        second = slope * slope if gauss_newton else slope * slope + (value - label) * link.bend(output)
        return np.asarray(weights * second * along)

    def residuals(self, output: Array, label: Array, weights: Array, link: Link) -> tuple[Array, Array]:
        value, slope = link.slopes(output)
        root = np.sqrt(weights)
        return root * (value - label), np.broadcast_to(root * slope, output.shape)


class CrossEntropy(Loss):
    """−∫ c log h(O) + (1 − c) log(1 − h(O)) dy with logistic h and labels c in [0, 1].

    Written as max(O, 0) − cO + log(1 + e^−|O|), which never overflows. Of K outputs these are K independent questions
    with yes or no (several may be true of one sample); for one of K classes take ``SoftmaxCrossEntropy``.
    """

    labels = (0.0, 1.0)

    def density(self, output: Any, label: Any, link: Callable[[Any], Any]) -> Any:
        return np.fmax(output, 0.0) - label * output + np.log1p(np.exp(-np.fabs(output)))

    def check(self, link: Link) -> None:
        if not isinstance(link, Logistic):
            raise InvalidInput(
                "CrossEntropy(): cross entropy needs a readout with a logistic link, "
                f"Readout(link=Logistic()); got {type(link).__name__}."
            )

    def slopes(self, output: Array, label: Array, weights: Array, link: Link) -> tuple[Array, Array]:
        power = np.exp(-np.fabs(output))
        density = np.maximum(output, 0.0) - label * output + np.log1p(power)
        return density @ weights, (np.where(output > 0.0, 1.0, power) / (1.0 + power) - label) * weights

    def curvature(
        self, output: Array, label: Array, weights: Array, link: Link, along: Array, *, gauss_newton: bool = False
    ) -> Array:
        power = np.exp(-np.fabs(output))
        return weights * (power / (1.0 + power) ** 2) * along


class SoftmaxCrossEntropy(Loss):
    """−Σ_k c_k log h(O)_k with h = softmax: one of K classes.

    Labels are the classes 0, …, K − 1, or rows (S, K) of shares c ≥ 0 with Σ_k c_k = 1 (one-hot, or smoothed).
    Written as −c · (O − max O − log Σ_l e^{O_l − max O}), which never overflows.
    """

    labels = (0.0, 1.0)

    def total(self, output: Any, label: Any, weights: Array, link: Callable[[Any], Any]) -> Any:
        shifted = output - ca.mmax(output)
        return -ca.dot(label, shifted - ca.log(ca.sum1(ca.exp(shifted))))

    def check(self, link: Link) -> None:
        if not isinstance(link, Softmax):
            raise InvalidInput(
                "SoftmaxCrossEntropy(): it needs a readout of K outputs with a softmax link, "
                f"Readout(link=Softmax(), outputs=K); got {type(link).__name__}."
            )

    def label_rows(self, said: str, labels: Array, samples: int, outputs: int) -> Array:
        if labels.ndim == 2 and labels.shape[1] == outputs:
            rows = super().label_rows(said, labels, samples, outputs)
            missed = np.abs(rows.sum(axis=1) - 1.0)
            if np.any(missed > ROUNDING):
                s = int(np.argmax(missed))
                raise InvalidInput(
                    f"{said}: SoftmaxCrossEntropy needs shares of the classes that add up to 1; those of sample {s} "
                    f"add up to {rows[s].sum():g}."
                )
            return rows
        if labels.size not in (1, samples):
            raise InvalidInput(
                f"{said}: {samples} sample(s) of {outputs} classes need labels of shape ({samples},) or "
                f"({samples}, {outputs}); got {labels.shape}."
            )
        classes = np.broadcast_to(labels.ravel(), (samples,))
        wrong = (classes != np.round(classes)) | (classes < 0) | (classes >= outputs)
        if np.any(wrong):
            s = int(np.argmax(wrong))
            raise InvalidInput(
                f"{said}: of {outputs} outputs the classes are 0, ..., {outputs - 1}; sample {s} has {classes[s]:g}."
            )
        return np.eye(outputs)[classes.astype(int)]

    def slopes(self, output: Array, label: Array, weights: Array, link: Link) -> tuple[Array, Array]:
        shifted = output - output.max(axis=1, keepdims=True)
        powers = np.exp(shifted)
        total, share = powers.sum(axis=1, keepdims=True), label.sum(axis=1, keepdims=True)
        value = share[:, 0] * np.log(total[:, 0]) - np.einsum("sk,sk->s", label, shifted)
        return value, powers * (share / total) - label

    def curvature(
        self, output: Array, label: Array, weights: Array, link: Link, along: Array, *, gauss_newton: bool = False
    ) -> Array:
        q = Softmax()(output)
        mean = np.einsum("sk,sk->s", q, along)[:, None]
        return label.sum(axis=1, keepdims=True) * q * (along - mean)


def _written_together(member: Any, formulas: set[str], derivatives: set[str]) -> bool:
    """Whether the class that wrote the formula in force wrote all derivatives, too: none below it changed either."""
    for cls in type(member).__mro__:
        own = vars(cls).keys()
        if own & (formulas | derivatives):
            return bool(own & formulas) and own >= derivatives and cls not in (Link, Loss)
    return False
