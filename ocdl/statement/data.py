"""Data: real samples as functions on a width domain, with labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ocdl.errors import InvalidInput, OcdlError

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Samples:
    """Inputs (S, M), values at the width nodes, and labels (S,)."""

    inputs: Array
    labels: Array


def digits(
    *, classes: tuple[int, int] = (0, 8), nodes: int = 4, count: int = 20, seed: int = 0
) -> tuple[Samples, Samples]:
    """Handwritten digits as functions on Y = [0, 1]²: ``count`` training samples, half of each class, and all others.

    Each 8 × 8 image of scikit-learn's digits (16 grey levels, scaled to [0, 1]) is averaged over ``nodes`` × ``nodes``
    equal cells, the values of TensorProduct(Midpoint(nodes), Midpoint(nodes)). The first class has label 0,
    the second 1. ``seed`` draws the training samples. Needs scikit-learn (the extra ``data``).
    Source: Alpaydin and Kaynak, UCI repository, "Optical recognition of handwritten digits" (1998).
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise OcdlError("digits(): needs scikit-learn; install it with pip install 'ocdl[data]'.") from None
    if len(classes) != 2 or classes[0] == classes[1] or not set(classes) <= set(range(10)):
        raise InvalidInput(f"digits(classes={classes!r}): two different digits are needed.")
    if nodes not in (1, 2, 4, 8):
        raise InvalidInput(f"digits(nodes={nodes!r}): nodes per side must divide 8; one of 1, 2, 4, 8.")
    images, digit = load_digits(return_X_y=True)
    of_class = [np.flatnonzero(digit == label) for label in classes]
    if not (isinstance(count, int) and count % 2 == 0 and 2 <= count <= 2 * min(len(c) for c in of_class)):
        limit = 2 * min(len(c) for c in of_class)
        raise InvalidInput(f"digits(count={count!r}): an even number of training samples from 2 to {limit} is needed.")
    generator = np.random.default_rng(seed)
    shuffled = [generator.permutation(members) for members in of_class]
    train, rest = ([part[s] for part in shuffled] for s in (slice(count // 2), slice(count // 2, None)))
    cells = images.reshape(-1, nodes, 8 // nodes, nodes, 8 // nodes).mean(axis=(2, 4)).reshape(len(images), -1) / 16.0

    def samples(parts: list[NDArray[np.int64]]) -> Samples:
        labels = np.concatenate([np.full(part.size, float(label)) for label, part in enumerate(parts)])
        return Samples(cells[np.concatenate(parts)], labels)

    return samples(train), samples(rest)
