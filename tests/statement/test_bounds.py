"""Boxes: intervals by name, and what is wrong with them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ocdl
from ocdl import Box


@given(lower=st.floats(-1e6, 1e6), length=st.floats(0, 1e6))
def test_scalars_fill_any_shape(lower, length):
    low, high = Box(a=(lower, lower + length)).interval("a", (2, 3))
    assert low.shape == high.shape == (2, 3)
    assert np.all(low == lower) and np.all(high == lower + length)


def test_arrays_lists_and_open_ends():
    box = Box(a=([-1, -2], np.array([1, 2])), b=(None, 3), c=None)
    np.testing.assert_array_equal(box.interval("a", (2,)), [[-1, -2], [1, 2]])
    np.testing.assert_array_equal(box.interval("b", (1,)), [[-np.inf], [3]])
    np.testing.assert_array_equal(box.interval("c", (1,)), [[-np.inf], [np.inf]])
    assert box.names == ("a", "b")
    mixed = Box(a=([-1, -2], 1)).interval("a", (2,))
    np.testing.assert_array_equal(mixed, [[-1, -2], [1, 1]])
    fixed = Box(a=(2, 2)).interval("a", ())
    assert fixed[0] == fixed[1] == 2


def test_a_box_owns_its_arrays():
    ends = np.array([1.0, 2.0])
    box = Box(a=(0, ends))
    ends[:] = -9
    box.interval("a", (2,))[1][:] = -9
    np.testing.assert_array_equal(box.interval("a", (2,))[1], [1, 2])


def test_shown_as_written():
    assert repr(Box(a=(-1, 1), b=(0, None))) == "Box(a=(-1, 1), b=(0, inf))"
    assert "<array (3, 3)>" in repr(Box(b=(np.zeros((3, 3)), 1)))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Box(a=(1, -1)), "Box(a=(1, -1)): the lower bound must not exceed the upper; got 1 > -1."),
        (lambda: Box(a=([0, 2], [1, 1])), "got 2 > 1 at entry (1,)."),
        (lambda: Box(a=([np.inf, 2], [np.inf, 1])), "got 2 > 1 at entry (1,)."),
        (lambda: Box(a=(np.nan, 1)), "got NaN"),
        (lambda: Box(a=(np.inf, np.inf)), "leaves nothing"),
        (lambda: Box(a=1), "Box(a=1): an interval is a pair (lower, upper)"),
        (lambda: Box(a=(1, 2, 3)), "Box(a=(1, 2, 3)): an interval is a pair (lower, upper)"),
        (lambda: Box(a="12"), "an interval is a pair"),
        (lambda: Box(a={0: 1, 1: 2}), "an interval is a pair"),
        (lambda: Box(a=("x", 1)), "Box(a=('x', 1)): real numbers"),
        (lambda: Box(a=(1j, 1)), "got complex numbers"),
        (lambda: Box(a=([1, None], 2)), "got NoneType"),
        (lambda: Box(a=([1, 2], [1, 2, 3])), "got (2,) and (3,)"),
        (lambda: Box(a={-1, 1}), "Box(a={-1, 1}): an interval is a pair"),
        (lambda: Box(a={-1: 0, 1: 0}.keys()), "an interval is a pair"),
        (lambda: Box(a=np.array(3.0)), "an interval is a pair"),
        (lambda: Box(a=(-(10**400), 1)), "Box(a=(about -10**400, 1)): real numbers"),
        (lambda: ocdl.Free(0, 10**400), "lower and upper are numbers"),
        (lambda: Box(a=(lambda t: 1 / 0, 1)).interval_at("a", (), np.array([0.5])), "t = 0.5 it raised ZeroDivision"),
        (lambda: Box(a=(lambda: 0, 1)).interval_at("a", (), np.zeros(1)), "t = 0 it raised TypeError"),
        (lambda: Box(a=(lambda t: None, lambda t: "1")).interval_at("a", (), np.zeros(1)), "at t = 0: real numbers"),
        (lambda: Box((-1, 1)), "name each interval, e.g. Box(a=(-1, 1), b=(-1, 1))"),
        (lambda: Box(a=([-1, -1], 1)).interval("a", (3,)), "arrays of shape (3,) on this grid; got (2,)"),
    ],
)
def test_wrong_boxes_are_named(make, said):
    with pytest.raises(ocdl.InvalidInput) as caught:
        make()
    assert said in str(caught.value)
