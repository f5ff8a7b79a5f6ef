"""e^y − 1 and tanh compiled by numba so that loops over them are vectorised; accurate to 2 units in the last place.

    y = j ln 2 + r, |r| ≤ ½ ln 2:   e^y − 1 = 2^j (e^r − 1) + (2^j − 1),   tanh |s| = t/(t + 2),  t = e^{2|s|} − 1.

e^r − 1 is Taylor's polynomial; adding 1.5 · 2⁵² rounds y/ln 2 to j and leaves it in the lowest bits.
"""

from __future__ import annotations

import math

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

ROUND = 1.5 * 2.0**52
PER_LN2 = 1.0 / math.log(2.0)
LN2_HIGH = float.fromhex("0x1.62e42feep-1")  # its last 21 bits are zero: j LN2_HIGH is exact
LN2_LOW = float.fromhex("0x1.a39ef35793c76p-33")
DEGREE = 13  # (½ ln 2)^13/14! < 2e-17
T = tuple(1.0 / math.factorial(k) for k in range(DEGREE + 1))
FLAT = 45.0  # beyond, tanh is ±1 and e^−y is nothing beside 1


@intrinsic
def _bits(context, x):
    """The bits of a double."""

    def generated(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.IntType(64))

    return types.int64(types.float64), generated


@intrinsic
def _double(context, bits):
    """The double of these bits."""

    def generated(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.int64), generated


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def expm1(y):
    """e^y − 1 for |y| ≤ 2 · FLAT."""
    rounded = y * PER_LN2 + ROUND
    j = rounded - ROUND
    r = (y - j * LN2_HIGH) - j * LN2_LOW
    q = T[13]
    q = q * r + T[12]
    q = q * r + T[11]
    q = q * r + T[10]
    q = q * r + T[9]
    q = q * r + T[8]
    q = q * r + T[7]
    q = q * r + T[6]
    q = q * r + T[5]
    q = q * r + T[4]
    q = q * r + T[3]
    q = q * r + T[2]
    power = _double((_bits(rounded) << 52) + (np.int64(1023) << 52))
    return power * (r + r * r * q) + (power - 1.0)


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def tanh(s):
    y = abs(s)
    y = FLAT if y > FLAT else y
    t = expm1(2.0 * y)
    return math.copysign(t / (t + 2.0), s)
