"""Arrays: what is no number is named, and nothing is read as a number that is none."""

from fractions import Fraction

import casadi as ca
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import ocdl
from ocdl.arrays import finite_array, fits_memory, is_real, positive_array, real_array, shown


class NeedsGrad:
    """Refuses to be an array, as a tensor that records its gradient does."""

    def __array__(self, *args, **kwargs):
        raise RuntimeError("Can't call numpy() on Tensor that requires grad.")


@given(arrays(float, array_shapes(max_dims=3, max_side=4), elements=st.floats(allow_nan=False)))
def test_numbers_are_kept_in_every_spelling(values):
    for spelling in (values, values.tolist(), values.astype(object), np.ma.masked_array(values)):
        np.testing.assert_array_equal(real_array("x", spelling), values)


def test_exact_numbers_are_numbers():
    np.testing.assert_array_equal(real_array("x", [Fraction(1, 2), 2, True]), [0.5, 2.0, 1.0])
    np.testing.assert_array_equal(real_array("x", ca.DM([1, 2])), [[1.0], [2.0]])


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (["1.0"], "text"),
        (np.array(["1.0"], dtype=object), "str"),
        (np.str_("1"), "text"),
        (b"1", "text"),
        ({1.0}, "set"),
        ((v for v in (1.0,)), "generator"),
        (np.ma.masked_array([1.0, 2.0], mask=[False, True]), "masked entries"),
        ([[1.0, np.ma.masked]], "masked entries"),
        (ca.SX.sym("a"), "CasADi symbol (SX)"),
        ([1.0, ca.MX.sym("a")], "CasADi symbol (MX)"),
        ([[1.0], [ca.SX.sym("a", 2)]], "CasADi symbol (SX)"),
        (10**400, "beyond 1.8e+308"),
        ([1, -(10**400)], "beyond 1.8e+308"),
        (NeedsGrad(), "NeedsGrad as an array raised RuntimeError: Can't call numpy()"),
        ([NeedsGrad(), 1.0], "NeedsGrad"),
        (np.datetime64("2026-01-01"), "datetime64"),
    ],
)
def test_what_is_no_number_is_named(values, said):
    with pytest.raises(ocdl.InvalidInput, match="quantity: real numbers in a regular array are needed") as caught:
        real_array("quantity", values)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_finite_and_positive():
    with pytest.raises(ocdl.InvalidInput, match=r"got inf at index \(1, 0\)"):
        finite_array("x", [[0.0], [np.inf]])
    for weights in ([1e308, 1e308], [5e-324, 1.0], [0.0, 1.0], [1.0]):
        with pytest.raises(ocdl.InvalidInput, match="w: 2 positive weights"):
            positive_array("w", weights, 2, "weights")


def test_a_single_number_is_one_that_a_float_holds():
    assert is_real(10**308) and is_real(-np.inf) and is_real(np.float32(1)) and not is_real(10**309)
    assert shown(10**400) == "about 10**400" and shown(-(10**9000)) == "about -10**9000" and shown(3) == "3"


def test_what_needs_more_memory_than_there_is_says_how_much():
    with pytest.raises(ocdl.InvalidInput, match=r"grid: states need about 8e\+09 GB, and this machine has"):
        fits_memory("grid", "states", 1e18)
    fits_memory("grid", "states", 10)


@pytest.mark.parametrize("shape", [(), (7,), (5, 3), (2, 3, 4)])
def test_what_is_not_finite_is_found_in_whatever_block_it_is(shape, monkeypatch):
    monkeypatch.setattr("ocdl.arrays.AT_ONCE", 4)
    for index in np.ndindex(*shape):
        values = np.zeros(shape)
        values[index] = np.inf
        at = f" at index {index if len(index) > 1 else index[0]}" if index else ""
        with pytest.raises(ocdl.InvalidInput) as caught:
            finite_array("x", values)
        assert str(caught.value) == f"x: all values must be finite; got inf{at}."
