"""Images as states: channels of H × W pixels, channel by channel and row by row, and what slides over them."""

from __future__ import annotations

from typing import Any

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ocdl.arrays import Array, is_whole
from ocdl.errors import InvalidInput


def check_image(said: str, image: Any) -> None:
    """Raise InvalidInput where ``image`` is no pair (H, W)."""
    if not (isinstance(image, tuple) and len(image) == 2 and all(is_whole(side) and side >= 1 for side in image)):
        raise InvalidInput(f"{said}(image={image!r}): a pair (height, width) of pixels is needed.")


def check_size(said: str, size: Any) -> None:
    """Raise InvalidInput where ``size`` is no odd number of pixels."""
    if not (is_whole(size) and size >= 1 and size % 2 == 1):
        raise InvalidInput(f"{said}(size={size!r}): a stencil has an odd number of pixels a side.")


def check_pool(said: str, pool: Any, image: tuple[int, int]) -> None:
    """Raise InvalidInput where cells of ``pool`` × ``pool`` pixels do not fill the image."""
    if not (is_whole(pool) and pool >= 1 and all(side % pool == 0 for side in image)):
        raise InvalidInput(f"{said}(pool={pool!r}): cells of pool × pool pixels must fill the image {image}.")


def channels(said: str, n: int, image: tuple[int, int]) -> int:
    """How many channels n states hold."""
    pixels = image[0] * image[1]
    if n % pixels:
        raise InvalidInput(f"{said}(image={image}): channels of {pixels} pixels do not make up {n} states.")
    return n // pixels


def convolution(values: Any, image: tuple[int, int], sizes: tuple[int, int, int]) -> Any:
    """The sparse matrix of x ↦ Σ_c w_dc ⋆ x_c, w (D·C·k·k,) the ``values``, (D, C, k) the ``sizes``; 0 past the edge.

    (w ⋆ x)[i, j] = Σ_ab w[a, b] x[i + a − ⌊k/2⌋, j + b − ⌊k/2⌋].
    """
    rows, columns, places = _stencil(image, sizes)
    D, C, _ = sizes
    pixels = image[0] * image[1]
    pattern = ca.Sparsity.triplet(D * pixels, C * pixels, rows.tolist(), columns.tolist())
    order = np.lexsort((rows, columns))  # CasADi's own: column by column
    return type(values)(pattern, ca.vec(values[places[order].tolist()]))


def on_pixels(values: Any, image: tuple[int, int]) -> Any:
    """One value a channel, (C, 1), at each of its pixels, (C·H·W, 1)."""
    return ca.vec(ca.repmat(values.T, image[0] * image[1], 1))


def _stencil(image: tuple[int, int], sizes: tuple[int, int, int]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Row, column and place among the values of every entry."""
    (H, W), (D, C, k) = image, sizes
    d, c, a, b, i, j = np.indices((D, C, k, k, H, W)).reshape(6, -1)
    row, column = i + a - k // 2, j + b - k // 2
    inside = (row >= 0) & (row < H) & (column >= 0) & (column < W)
    rows, columns = (d * H + i) * W + j, (c * H + row) * W + column
    return rows[inside], columns[inside], (((d * C + c) * k + a) * k + b)[inside]


def cells(image: tuple[int, int], pool: int, C: int) -> NDArray[Any]:
    """Which states lie in each cell of pool × pool pixels: (C · cells, pool²)."""
    H, W = image
    states = np.arange(C * H * W).reshape(C, H // pool, pool, W // pool, pool)
    return states.transpose(0, 1, 3, 2, 4).reshape(-1, pool * pool)


def mean_pooling(image: tuple[int, int], pool: int, C: int) -> Array:
    """The matrix that averages over the cells."""
    members = cells(image, pool, C)
    matrix = np.zeros((len(members), members.size))
    np.put_along_axis(matrix, members, 1.0 / pool**2, axis=1)
    return matrix
