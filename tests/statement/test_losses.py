"""Losses, links and readouts: formulas, derivatives, and what goes with what."""

import casadi as ca
import numpy as np
import pytest
from families import concrete, selection
from hypothesis import given
from hypothesis import strategies as st

import ocdl
from ocdl import (
    CrossEntropy,
    HalfSquare,
    IdentityLink,
    Link,
    Logistic,
    Loss,
    Readout,
    Softmax,
    SoftmaxCrossEntropy,
    class_weights,
)

losses = [cls() for cls in concrete(Loss, "density")]
every_link = [cls() for cls in concrete(Link, "__call__")]
links = [link for link in every_link if link.pointwise]
every_pair = pytest.mark.parametrize(
    ("loss", "link"),
    [(loss, link) for loss in losses for link in links if not (isinstance(loss, CrossEntropy) and link != Logistic())],
    ids=lambda member: type(member).__name__,
)


def test_the_families_are_found():
    assert len(losses) >= 2 and len(links) >= 2 and len(every_link) > len(links)


@pytest.mark.parametrize("link", links, ids=lambda link: type(link).__name__)
@given(output=st.floats(-40, 40), more=st.floats(1e-3, 5))
def test_links_agree_and_increase(link, output, more):
    s = ca.SX.sym("s")
    value = float(link(np.array(output)))
    assert float(ca.Function("h", [s], [link(s)])(output)) == pytest.approx(value, rel=1e-14, abs=1e-15)
    assert link(np.array(output + more)) >= value
    assert link(np.array(0.0)) in (0.0, 0.5)


def test_the_logistic_link_is_printed_formula():
    for output in (-3.0, 0.2, 5.0):
        assert float(Logistic()(output)) == pytest.approx(np.exp(output) / (1 + np.exp(output)), rel=1e-14)
    assert np.isfinite([Logistic()(1e3), Logistic()(-1e3)]).all()


@pytest.mark.parametrize("link", [link for link in every_link if not link.pointwise], ids=repr)
@given(output=st.lists(st.floats(-700, 700), min_size=2, max_size=4))
def test_coupled_links_agree_and_share_one(link, output):
    o = ca.SX.sym("o", len(output))
    value = link(np.array([output, output[::-1]]))
    np.testing.assert_allclose(ca.Function("h", [o], [link(o)])(output).full()[:, 0], value[0], rtol=1e-13, atol=1e-300)
    np.testing.assert_allclose(value[1], value[0][::-1])
    assert value.sum(axis=1) == pytest.approx(1.0) and np.all(np.diff(value[0][np.argsort(output)]) >= 0.0)


@every_pair
@given(output=st.floats(-20, 20), label=st.floats(0, 1))
def test_losses_agree_and_are_least_at_the_label(loss, link, output, label):
    o = ca.SX.sym("o")
    f = ca.Function("loss", [o], [loss.density(o, label, link), ca.gradient(loss.density(o, label, link), o)])
    value, gradient = (float(v) for v in f(output))
    assert value == pytest.approx(float(loss.density(np.array(output), label, link)), rel=1e-12, abs=1e-14)
    assert value >= -1e-15
    # the loss falls towards the label: slope and error of the prediction have the same sign
    error = float(link(np.array(output))) - label
    assert gradient * error >= -1e-12


@given(output=st.floats(-30, 30), label=st.floats(0, 1))
def test_cross_entropy_is_the_printed_formula(output, label):
    h, other = 1 / (1 + np.exp(-output)), 1 / (1 + np.exp(output))  # 1 − h without cancellation
    printed = -(label * np.log(h) + (1 - label) * np.log(other))
    assert float(CrossEntropy().density(np.array(output), label, Logistic())) == pytest.approx(printed, rel=1e-12)


@pytest.mark.parametrize("output", [-1e3, 1e3])
def test_cross_entropy_never_overflows(output):
    with np.errstate(all="raise", under="ignore"):
        value = CrossEntropy().density(np.array(output), 0.5, Logistic())
    assert float(value) == pytest.approx(500.0)


@given(output=st.lists(st.floats(-30, 30), min_size=2, max_size=4), raw=st.lists(st.floats(0.1, 1), min_size=4))
def test_softmax_cross_entropy_is_the_printed_formula(output, raw):
    shares = np.array(raw[: len(output)]) / np.sum(raw[: len(output)])
    printed = -shares @ np.log(np.exp(output) / np.sum(np.exp(output)))
    o = ca.SX.sym("o", len(output))
    total = SoftmaxCrossEntropy().total(o, ca.DM(shares), np.ones(len(output)), Softmax())
    assert float(ca.Function("total", [o], [total])(output)) == pytest.approx(printed, rel=1e-12)


def test_softmax_of_two_classes_is_the_logistic_function():
    for output in (-3.0, 0.4, 800.0):
        two = SoftmaxCrossEntropy().slopes(np.array([[0.0, output]]), np.array([[0.0, 1.0]]), np.ones(2), Softmax())
        one = CrossEntropy().slopes(np.array([[output]]), np.array([[1.0]]), np.ones(1), Logistic())
        assert two[0] == pytest.approx(one[0], rel=1e-14) and two[1][0, 1] == pytest.approx(one[1][0, 0], rel=1e-14)


def test_softmax_cross_entropy_never_overflows():
    o = ca.SX.sym("o", 3)
    total = SoftmaxCrossEntropy().total(o, ca.DM([0, 1, 0]), np.ones(3), Softmax())
    parts = ca.Function("total", [o], [total, ca.gradient(total, o), ca.hessian(total, o)[0]])
    for output, value in (([1e4, -1e4, 0], 2e4), ([-1e4, 1e4, 1e4], np.log(2)), ([5e3, 5e3, 5e3], np.log(3))):
        found = [part.full() for part in parts(output)]
        assert found[0].item() == pytest.approx(value) and all(np.isfinite(part).all() for part in found)


def test_classes_and_their_shares_are_the_same_labels():
    def data(target):
        return (
            selection(
                initial=np.zeros((3, 4)),
                readout=Readout(link=Softmax(), outputs=3),
                target=target,
                loss=SoftmaxCrossEntropy(),
            )
            .discretise(ocdl.Midpoint(4))
            .data
        )

    for target in ([0, 2, 1], [[0.0], [2.0], [1.0]], np.eye(3)[[0, 2, 1]]):
        np.testing.assert_array_equal(data(target), np.eye(3)[[0, 2, 1]])
    np.testing.assert_array_equal(data(1), np.eye(3)[[1, 1, 1]])


def test_class_weights_make_the_classes_equal():
    labels = np.array([0, 0, 0, 2, 1, 0])
    balanced = class_weights(labels)
    assert [balanced[labels == k].sum() for k in range(3)] == pytest.approx([2.0, 2.0, 2.0])
    np.testing.assert_array_equal(class_weights(labels, {0: 1.0, 1: 4.0, 2: 2.0}), [1, 1, 1, 2, 4, 1])
    np.testing.assert_allclose(class_weights(np.array(["a", "b", "b"])), [1.5, 0.75, 0.75])


def test_half_square_is_integrated_over_y():
    problem = selection(target=lambda y: y).discretise(ocdl.GaussLegendre(4))
    y = problem.layout.coords["y"][1]
    assert problem.terminal_loss(2 * y) == pytest.approx(0.5 * (1 / 3), rel=1e-14)
    assert problem.terminal_loss(np.stack([2 * y, y])) == pytest.approx([1 / 6, 0.0], abs=1e-15)


def test_readout_of_k_outputs_is_an_integral():
    K, rule = 3, ocdl.GaussLegendre(5)
    problem = selection(readout=Readout(outputs=K), target=[[0.1, 0.2, 0.9]]).discretise(rule)
    y = problem.layout.coords["y"][1]
    W = np.stack([y, y**2, 1 - y])
    mu = np.array([0.5, -1.0, 2.0])
    p = np.concatenate([W.ravel(), mu])
    output = np.array([1 / 4, 1 / 5, 1 / 3 - 1 / 4]) + mu  # ∫ W f dy with f = y²
    expected = np.sum(0.5 * (1 / (1 + np.exp(-output)) - [0.1, 0.2, 0.9]) ** 2)
    assert problem.terminal_loss(y**2, p) == pytest.approx(expected, rel=1e-13)
    assert [part.name for part in problem.layout.parameters] == ["W", "mu"] and problem.P == 3 * 5 + 3
    named = problem.layout.unpack(problem.layout.parameters, p)
    np.testing.assert_array_equal(named["W"], W)
    np.testing.assert_array_equal(named["mu"], mu)


def test_readout_on_the_width_is_a_kernel():
    """O(y) = ∫ W(y,z) f(z) dz + μ(y) with W = yz, f = z, μ = y: O = y/3 + y."""
    rule = ocdl.GaussLegendre(4)
    problem = selection(readout=Readout(IdentityLink(), outputs="width"), target=lambda y: y).discretise(rule)
    y = problem.layout.coords["y"][1]
    p = np.concatenate([np.outer(y, y).ravel(), y])
    assert problem.terminal_loss(y, p) == pytest.approx(0.5 * (1 / 9) * (1 / 3), rel=1e-13)
    w = problem.state_metric
    np.testing.assert_allclose(problem.parameter_metric, np.concatenate([np.outer(w, w).ravel(), w]))


def test_labels_of_one_output():
    states = np.zeros((3, 4))
    for target in ([0, 1, 1], [[0], [1], [1]], [False, True, True]):
        problem = selection(initial=states, readout=Readout(), target=target, loss=CrossEntropy()).discretise(
            ocdl.Midpoint(4)
        )
        np.testing.assert_array_equal(problem.data, [[0], [1], [1]])
    shared = selection(initial=states, readout=Readout(), target=1.0).discretise(ocdl.Midpoint(4))
    np.testing.assert_array_equal(shared.data, np.ones((3, 1)))


def test_a_fixed_readout_has_no_freedom():
    problem = selection(readout=Readout(weight=(2, 2), bias=(0, 0)), target=0.5).discretise(ocdl.Midpoint(3))
    low, high = problem.parameter_box
    np.testing.assert_array_equal(low, [2, 2, 2, 0])
    np.testing.assert_array_equal(high, low)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: selection(loss=CrossEntropy()), ["CrossEntropy()", "logistic link", "IdentityLink"]),
        (lambda: selection(loss=CrossEntropy(), readout=Readout(IdentityLink())), ["logistic link", "IdentityLink"]),
        (lambda: selection(loss=SoftmaxCrossEntropy()), ["SoftmaxCrossEntropy()", "Softmax()", "IdentityLink"]),
        (lambda: Readout(link=Softmax()), ["Readout(link=Softmax(), outputs=1)", "at least two"]),
        (lambda: Readout(link=Softmax(), outputs="width"), ["outputs='width'", "at least two"]),
        (lambda: classes([3]), ["target", "0, ..., 2", "sample 0 has 3"]),
        (lambda: classes([0.5]), ["target", "0, ..., 2", "sample 0 has 0.5"]),
        (lambda: classes([0, 1]), ["target", "1 sample(s) of 3 classes", "(1,) or (1, 3)", "(2,)"]),
        (lambda: classes([[0.5, 0.4, 0.0]]), ["target", "add up to 1", "sample 0", "0.9"]),
        (lambda: classes([[1.5, -0.5, 0.0]]), ["target", "SoftmaxCrossEntropy", "[0, 1]", "[-0.5, 1.5]"]),
        (lambda: class_weights([0, 1], {0: 1.0}), ["class_weights", "{0: 1.0}", "class 1"]),
        (lambda: class_weights([0, 1], {0: 1.0, 1: 0.0}), ["class_weights", "positive", "class 1", "0.0"]),
        (lambda: class_weights([0, 1], "even"), ["class_weights", "'even'", "'balanced'"]),
        (lambda: class_weights([[0, 1]]), ["class_weights", "(S,)", "(1, 2)"]),
        (lambda: Readout(outputs=0), ["Readout(outputs=0)", "positive number of outputs or 'width'"]),
        (lambda: Readout(outputs=True), ["Readout(outputs=True)"]),
        (lambda: Readout(outputs=1.5), ["Readout(outputs=1.5)"]),
        (lambda: Readout(outputs="depth"), ["Readout(outputs='depth')"]),
        (lambda: Readout(link=Logistic), ["Readout(link=", "ocdl.Logistic()"]),
        (lambda: Readout(weight=5), ["Readout(weight=5)", "pair (lower, upper)"]),
        (lambda: Readout(bias=(2, 1)), ["Readout(bias=(2, 1))", "got 2 > 1"]),
        (lambda: labelled([3.0], CrossEntropy()), ["target", "CrossEntropy", "[0, 1]", "[3, 3]"]),
        (lambda: labelled([1, 2, 3]), ["target", "1 sample(s) with 1 output(s)", "(3,)"]),
        (lambda: questions([1, 0]), ["target", "2 sample(s) with 3 output(s)", "(2, 3)", "SoftmaxCrossEntropy()"]),
        (lambda: labelled(lambda y: y), ["target", "Readout(outputs=1)", "function"]),
        (lambda: labelled(None), ["target", "NoneType"]),
    ],
)
def test_what_does_not_go_together_is_named(make, said):
    with pytest.raises(ocdl.InvalidInput) as caught:
        make()
    assert all(part in str(caught.value) for part in said), str(caught.value)


def labelled(target, loss=None):
    return selection(readout=Readout(), target=target, loss=loss or HalfSquare()).discretise(ocdl.Midpoint(3))


def classes(target):
    return selection(readout=Readout(link=Softmax(), outputs=3), target=target, loss=SoftmaxCrossEntropy()).discretise(
        ocdl.Midpoint(3)
    )


def questions(target):
    return selection(initial=np.zeros((2, 3)), readout=Readout(outputs=3), target=target).discretise(ocdl.Midpoint(3))
