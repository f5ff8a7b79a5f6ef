"""Batch: columns at once equal columns one by one, also where the mapped function is padded."""

import casadi as ca
import numpy as np
import pytest

from ocdl.batch import Batch


@pytest.fixture
def function():
    x, c = ca.SX.sym("x", 2), ca.SX.sym("c")
    return ca.Function("f", [x, c], [c * x**2, ca.sum1(x), ca.horzcat(x, c * x)])


def test_every_number_of_columns(function):
    batch = Batch(function, shared=(1,))
    for K in (*range(1, 20), 33, 5):
        x = np.random.default_rng(K).standard_normal((2, K))
        square, total, pair = batch(x, 3.0)
        np.testing.assert_allclose(square, 3 * x**2, rtol=1e-15)
        np.testing.assert_allclose(total, x.sum(axis=0, keepdims=True), rtol=1e-14)
        np.testing.assert_allclose(pair.reshape(2, K, 2)[:, :, 1], 3 * x, rtol=1e-15)


def test_sums_see_only_their_columns():
    x, k = ca.SX.sym("x", 2), ca.SX.sym("k")
    batch = Batch(ca.Function("f", [x, k], [k * x]), shared=(1,), summed=(0,))
    for K in range(1, 20):
        x = np.random.default_rng(K).standard_normal((2, K))
        np.testing.assert_allclose(batch(x, 2.0)[0], 2 * x.sum(axis=1), rtol=1e-13, atol=1e-13)
