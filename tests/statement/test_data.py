"""Handwritten digits: classes, cells, and what cannot be asked of them."""

import numpy as np
import pytest

import ocdl

pytest.importorskip("sklearn")


def test_two_classes_are_the_labels_zero_and_one_and_cells_are_means():
    fine, _ = ocdl.digits(nodes=8, count=20)
    coarse, rest = ocdl.digits(nodes=4, count=20)
    assert fine.inputs.shape == (20, 64) and coarse.inputs.shape == (20, 16)
    np.testing.assert_array_equal(coarse.labels, [0] * 10 + [1] * 10)
    images = fine.inputs.reshape(-1, 8, 8)
    np.testing.assert_allclose(coarse.inputs[:, 0], images[:, :2, :2].mean(axis=(1, 2)), rtol=1e-14)
    assert len(coarse.labels) + len(rest.labels) == 178 + 174  # images of 0 and of 8, Alpaydin and Kaynak


def test_ten_classes_of_all_pixels_have_integer_labels():
    train, rest = ocdl.digits(classes=range(10), nodes=8, count=100, seed=3)
    assert np.issubdtype(train.labels.dtype, np.integer)
    np.testing.assert_array_equal(np.bincount(train.labels), np.full(10, 10))
    assert len(rest.labels) == 1797 - 100 and train.inputs.min() >= 0.0 and train.inputs.max() <= 1.0
    problem = ocdl.network(ocdl.Residual(), train.inputs, train.labels, readout=ocdl.Readout(outputs=10))
    np.testing.assert_array_equal(problem.data.argmax(axis=1), train.labels)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"classes": (3,)}, r"digits\(classes=\(3,\)\): two to ten different digits"),
        ({"classes": (3, 3)}, "two to ten different digits"),
        ({"classes": (3, 10)}, "two to ten different digits"),
        ({"nodes": 3}, r"digits\(nodes=3\)"),
        ({"count": 21}, r"digits\(count=21\): equally many training samples of 2 classes are needed"),
        ({"classes": (1, 2, 3), "count": 10_002}, r"a multiple of 3 from 3 to \d+\."),
        ({"count": 0}, r"digits\(count=0\)"),
    ],
)
def test_what_cannot_be_drawn_is_said(options, said):
    with pytest.raises(ocdl.InvalidInput, match=said):
        ocdl.digits(**options)
