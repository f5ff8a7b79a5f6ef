"""Losses, links and readouts: formulas, derivatives, and what goes with what."""

import casadi as ca
import numpy as np
import pytest
from families import concrete, selection
from hypothesis import given
from hypothesis import strategies as st

import ocdl
from ocdl import CrossEntropy, HalfSquare, IdentityLink, Link, Logistic, Loss, Readout

losses = [cls() for cls in concrete(Loss, "density")]
links = [cls() for cls in concrete(Link, "__call__")]
every_pair = pytest.mark.parametrize(
    ("loss", "link"),
    [(loss, link) for loss in losses for link in links if not (isinstance(loss, CrossEntropy) and link != Logistic())],
    ids=lambda member: type(member).__name__,
)


def test_the_families_are_found():
    assert len(losses) >= 2 and len(links) >= 2


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
        (lambda: Readout(outputs=0), ["Readout(outputs=0)", "positive number of outputs or 'width'"]),
        (lambda: Readout(outputs=True), ["Readout(outputs=True)"]),
        (lambda: Readout(outputs=1.5), ["Readout(outputs=1.5)"]),
        (lambda: Readout(outputs="depth"), ["Readout(outputs='depth')"]),
        (lambda: Readout(link=Logistic), ["Readout(link=", "ocdl.Logistic()"]),
        (lambda: Readout(weight=5), ["Readout(weight=5)", "pair (lower, upper)"]),
        (lambda: Readout(bias=(2, 1)), ["Readout(bias=(2, 1))", "got 2 > 1"]),
        (lambda: labelled([3.0], CrossEntropy()), ["target", "CrossEntropy", "[0, 1]", "[3, 3]"]),
        (lambda: labelled([1, 2, 3]), ["target", "1 sample(s) with 1 output(s)", "(3,)"]),
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
