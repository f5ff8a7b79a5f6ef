"""The gradient methods of deep learning: their printed rules, batches by seed, and bounds."""

import numpy as np
import pytest
from pmp_problems import linear_quadratic, network, start

import ocdl
from ocdl.errors import InvalidInput
from ocdl.pmp import GradientDescent, StochasticGradient
from ocdl.pmp.iterate import Ground
from ocdl.pmp.methods.stochastic_gradient import _Run
from ocdl.solving.method import Start
from ocdl.sweeps.reduced import ReducedCost


def gradients(count):
    """A function-space gradient at controls u of the linear-quadratic problem on ``count`` layers."""
    ground = Ground(linear_quadratic(), ocdl.ExplicitEuler(count))
    return lambda u: ground.at(u, np.zeros(0)).adjoint.gradient_u * count


def run(method, count=4):
    problem, depth = linear_quadratic(), ocdl.ExplicitEuler(count)
    return method.solve(problem, depth, Start(np.full((count, 1), 0.3), np.zeros(0)), progress=False)


def test_adam_as_printed():
    """Kingma and Ba, algorithm 1, three steps by hand."""
    g, u, m, v = gradients(4), np.full((4, 1), 0.3), 0.0, 0.0
    for k in (1, 2, 3):
        slope = g(u)
        m, v = 0.9 * m + 0.1 * slope, 0.999 * v + 0.001 * slope**2
        u = u - 0.05 * (m / (1 - 0.9**k)) / (np.sqrt(v / (1 - 0.999**k)) + 1e-8)
    np.testing.assert_allclose(run(StochasticGradient(rule="adam", step=0.05, max_iterations=3)).u, u, atol=1e-14)


def test_adagrad_as_printed():
    g, u, square = gradients(4), np.full((4, 1), 0.3), 0.0
    for _ in range(3):
        slope = g(u)
        square = square + slope**2
        u = u - 0.1 * slope / (np.sqrt(square) + 1e-8)
    np.testing.assert_allclose(run(StochasticGradient(rule="adagrad", step=0.1, max_iterations=3)).u, u, atol=1e-14)


def test_with_all_samples_and_a_fixed_step_it_is_gradient_descent():
    plain = run(GradientDescent(backtracking=False, step=0.2, max_iterations=5))
    mine = run(StochasticGradient(rule="sgd", step=0.2, max_iterations=5))
    np.testing.assert_allclose(mine.u, plain.u, atol=1e-15)


def trained(rule, step, seed, iterations):
    problem, depth = network().discretise(ocdl.Midpoint(4)), ocdl.ExplicitEuler(4)
    method = StochasticGradient(rule=rule, step=step, batch=3, seed=seed, max_iterations=iterations)
    return problem, method.solve(problem, depth, start(problem, depth, 0), progress=False)


@pytest.mark.parametrize("rule, step", [("sgd", 5.0), ("adagrad", 0.1), ("adam", 0.1)])
def test_batches_train_a_network_with_its_readout_inside_its_box(rule, step):
    problem, outcome = trained(rule, step, 1, 25)
    assert min(outcome.history["cost"]) < 0.8 * outcome.history["cost"][0]
    low, high = problem.control_box
    assert np.all((outcome.u >= low) & (outcome.u <= high))
    assert np.any(outcome.p != start(problem, ocdl.ExplicitEuler(4), 0).p)


def test_batches_are_drawn_by_their_seed():
    one, same, other = (trained("adam", 0.1, seed, 3)[1].u for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_a_batch_beyond_the_samples_is_refused():
    with pytest.raises(InvalidInput, match="6 sample"):
        problem, depth = network().discretise(ocdl.Midpoint(4)), ocdl.ExplicitEuler(5)
        StochasticGradient(batch=7).solve(problem, depth, start(problem, depth))


def test_an_epoch_draws_every_sample_once():
    method = StochasticGradient(batch=4, seed=3, max_iterations=1)
    problem, depth = network().discretise(ocdl.Midpoint(4)), ocdl.ExplicitEuler(4)
    run = _Run(method, ReducedCost(problem, depth), start(problem, depth, 0))
    batches = run._drawn()
    drawn = [next(batches).problem.initial for _ in range(2)]
    everything = np.concatenate(drawn)
    assert [len(part) for part in drawn] == [4, 2]
    np.testing.assert_array_equal(np.sort(everything[:, 0]), np.sort(run.cost.problem.initial[:, 0]))


def test_the_cost_of_all_samples_is_computed_when_asked_and_the_best_is_returned():
    problem, depth = network().discretise(ocdl.Midpoint(4)), ocdl.ExplicitEuler(4)
    method = StochasticGradient(rule="sgd", step=20.0, batch=3, evaluate=4, max_iterations=10)
    outcome = method.solve(problem, depth, start(problem, depth, 0), progress=False)
    assert outcome.history["iteration"] == [0, 4, 8, 10]
    sweeper = ReducedCost(problem, depth)
    assert sweeper.value(sweeper.join(outcome.u, outcome.p)) == min(outcome.history["cost"])


def test_schedules():
    steps = {name: StochasticGradient(step=2.0, schedule=name, max_iterations=8) for name in ("cosine", "inverse")}
    assert [steps["cosine"].step_at(k, 4) for k in (0, 4, 8)] == pytest.approx([2.0, 1.0, 0.0], abs=1e-15)
    assert [steps["inverse"].step_at(k, 4) for k in (0, 4, 12)] == pytest.approx([2.0, 1.0, 0.5])


def test_momentum_keeps_the_direction():
    g, u, direction = gradients(4), np.full((4, 1), 0.3), 0.0
    for _ in range(3):
        direction = 0.5 * direction + g(u)
        u = u - 0.1 * direction
    mine = run(StochasticGradient(rule="sgd", momentum=0.5, step=0.1, max_iterations=3))
    np.testing.assert_allclose(mine.u, u, atol=1e-14)


def test_a_gradient_that_is_lost_is_named():
    problem = ocdl.ControlProblem(
        dynamics=lambda x, u: u, terminal=lambda x: np.sqrt(x[0]), initial=[0.5], horizon=1.0, controls=1
    )
    method = StochasticGradient(rule="sgd", step=1.0, max_iterations=50)
    outcome = method.solve(problem, ocdl.ExplicitEuler(2), Start(np.zeros((2, 1)), np.zeros(0)), progress=False)
    assert outcome.status is ocdl.Status.NOT_A_NUMBER and "iteration" in outcome.detail
    assert np.isfinite(outcome.claim["cost"])
