"""Data: samples as rows of inputs, with labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocdl.arrays import is_whole
from ocdl.errors import InvalidInput, OcdlError

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Samples:
    """Inputs (S, M), such as values at the width nodes, and labels (S,); classes are 0, 1, ..., K − 1."""

    inputs: Array
    labels: NDArray[Any]


def digits(
    *, classes: Sequence[int] = (0, 8), nodes: int = 4, count: int = 20, seed: int = 0
) -> tuple[Samples, Samples]:
    """Handwritten digits as functions on Y = [0, 1]²: ``count`` training samples, equally many of each class, and all
    others.

    Each 8 × 8 image of scikit-learn's digits (16 grey levels, scaled to [0, 1]) is averaged over ``nodes`` × ``nodes``
    equal cells, the values of TensorProduct(Midpoint(nodes), Midpoint(nodes)); nodes = 8 keeps all 64 pixels.
    ``classes``: two to ten different digits; the first has label 0, the second 1, and so on. ``seed`` draws the
    training samples. Needs scikit-learn (the extra ``data``).
    Source: Alpaydin and Kaynak, UCI repository, "Optical recognition of handwritten digits" (1998).
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise OcdlError("digits(): needs scikit-learn; install it with pip install 'ocdl[data]'.") from None
    K = len(classes)
    if not 2 <= K == len(set(classes)) or not set(classes) <= set(range(10)):
        raise InvalidInput(f"digits(classes={classes!r}): two to ten different digits are needed.")
    if nodes not in (1, 2, 4, 8):
        raise InvalidInput(f"digits(nodes={nodes!r}): nodes per side must divide 8; one of 1, 2, 4, 8.")
    images, digit = load_digits(return_X_y=True)
    of_class = [np.flatnonzero(digit == label) for label in classes]
    limit = K * min(len(members) for members in of_class)
    if not (is_whole(count) and count % K == 0 and K <= count <= limit):
        raise InvalidInput(
            f"digits(count={count!r}): equally many training samples of {K} classes are needed, a multiple of {K} from "
            f"{K} to {limit}."
        )
    generator = np.random.default_rng(seed)
    shuffled = [generator.permutation(members) for members in of_class]
    train, rest = ([part[s] for part in shuffled] for s in (slice(count // K), slice(count // K, None)))
    cells = images.reshape(-1, nodes, 8 // nodes, nodes, 8 // nodes).mean(axis=(2, 4)).reshape(len(images), -1) / 16.0

    def samples(parts: list[NDArray[np.int64]]) -> Samples:
        return Samples(cells[np.concatenate(parts)], np.repeat(np.arange(K), [part.size for part in parts]))

    return samples(train), samples(rest)
