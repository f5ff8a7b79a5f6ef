"""Blocks of samples over threads and clusters: the same sums to the bit, wherever they are made."""

import pickle
import signal
from os import getpid, kill

import casadi as ca
import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import ocdl
from ocdl.sweeps.fused import passes
from ocdl.sweeps.fused.cluster import Cluster, OnDisk, _rows
from ocdl.sweeps.fused.spread import place
from ocdl.sweeps.fused.threads import Threads, _libraries
from ocdl.sweeps.fused.work import GROUP, added, total
from ocdl.sweeps.reduced import ReducedCost
from ocdl.sweeps.sweeper import SweepFailed

BLOCK, SAMPLES = 8, 150  # several groups of blocks, the last of them short


@pytest.fixture(autouse=True)
def short_blocks(monkeypatch):
    monkeypatch.setattr(passes, "SAMPLES", (BLOCK, BLOCK))


def data(width, samples=SAMPLES):
    rng = np.random.default_rng(0)
    inputs = rng.uniform(-1.0, 1.0, (samples, width))
    return inputs, (inputs[:, 0] > 0.0).astype(float)


def residual(width):
    return ocdl.network(ocdl.Residual(), *data(width), regulariser=ocdl.Tikhonov(1e-3))


def any_loss():
    """A terminal loss by CasADi, and coefficients that are no affine function of the controls."""
    inputs, labels = data(2)
    return ocdl.ControlProblem(
        dynamics=lambda x, u: ca.tanh(ca.vertcat(u[0] * u[1] * x[0] + u[1], u[0] * x[1])),
        terminal=lambda x, d: ca.log(1.0 + ca.exp(d[0] * x[0])) + x[1] ** 4,
        initial=inputs,
        data=labels[:, None],
        horizon=1.0,
        controls=2,
    )


PROBLEMS = {"narrow": lambda: residual(2), "wide": lambda: residual(16), "any loss": any_loss}


def sums(cost, w):
    """Everything that is summed over the samples, and the residuals' rows."""
    products, v = cost.products(w), np.cos(np.arange(w.size))
    found = [cost.value(w), *cost.value_and_gradient(w), products.hessian(v), products.hessian(v)]
    found.append(products.gauss_newton(v))
    return found + (list(cost.rows(w)) if cost.has_rows else [])


def costs():
    for make in PROBLEMS.values():
        cost = ReducedCost(make(), ocdl.ImprovedEuler(3))
        yield cost, 0.3 * np.random.default_rng(1).standard_normal(cost.size)


def assert_same(found, expected):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_any_number_of_threads_makes_the_same_sums_to_the_bit():
    for cost, w in costs():
        alone = sums(cost, w)
        for threads in (2, 3):
            with ocdl.spread(threads=threads):
                assert place().count == threads
                assert_same(sums(cost, w), alone)
            assert place().count == 1


def test_a_group_is_summed_alike_by_whoever_has_it():
    parts = [(value, np.full(2, value), None) for value in 10.0 ** np.random.default_rng(0).uniform(-8, 8, 3 * GROUP)]
    groups = [total(parts[begin : begin + GROUP]) for begin in range(0, len(parts), GROUP)]
    assert_same(added(groups), total(parts))
    assert total(parts)[0] == pytest.approx(sum(value for value, *_ in parts), rel=1e-14)


def test_blas_has_one_thread_in_a_block_and_all_of_them_behind():
    def threads(_):
        return {library["num_threads"] for library in _libraries().select(user_api="blas").info()}

    blocks = [slice(0, 1), slice(1, 2)]
    with threadpool_limits(2, user_api="blas"):
        for where in (Threads(), Threads(2)):
            assert list(where.parts(threads, blocks)) == [{1}, {1}] and threads(None) == {2}
            where.close()


def test_what_a_block_raises_is_raised():
    with ocdl.spread(threads=2), pytest.raises(ZeroDivisionError):
        list(place().parts(lambda block: 1 // block.start, [slice(1, 2), slice(0, 1), slice(1, 2)]))


def test_what_is_lost_is_nan_without_a_warning():
    inputs, _ = data(2)
    problem = ocdl.network(ocdl.Residual(activation=ocdl.ReLU()), inputs, inputs, readout=None)
    cost = ReducedCost(problem, ocdl.ExplicitEuler(3))
    with ocdl.spread(threads=2):
        value, gradient = cost.value_and_gradient(np.full(cost.size, 1e200))
    assert not np.isfinite(value) and not np.all(np.isfinite(gradient))


@pytest.mark.parametrize("given", [{"threads": 0}, {"threads": 1.5}, {"client": "here"}, {"threads": 2, "client": 3}])
def test_what_is_no_place_is_refused(given):
    with pytest.raises(ocdl.InvalidInput, match=r"spread\("), ocdl.spread(**given):
        pass


def test_ends_are_those_of_the_states_whatever_the_blocks():
    for cost, w in costs():
        u, p = cost.split(w)
        np.testing.assert_allclose(cost.sweeper.ends(u, p), cost.sweeper.state(u, p).x[-1], rtol=1e-14)
    with pytest.raises(SweepFailed, match="layer"):
        cost.sweeper.ends(np.full_like(u, np.inf), p)


# -- clusters ------------------------------------------------------------------------------------------------


class Sent:
    """As much of a ``distributed.Client`` as is used: what goes to a worker, and what comes back, is pickled."""

    def submit(self, function, *given, pure):
        return self._far(function(*self._far(given)))

    def map(self, function, shares, pure, **given):
        return [self._far(function(share, **given)) for share in shares]

    def gather(self, found):
        return found

    def _far(self, value):
        return pickle.loads(pickle.dumps(value))


@pytest.mark.parametrize("name", ["narrow", "wide"])
def test_groups_that_went_to_another_process_make_the_same_sums_to_the_bit(name):
    cost = ReducedCost(PROBLEMS[name](), ocdl.ImprovedEuler(3))
    w = 0.3 * np.random.default_rng(1).standard_normal(cost.size)
    alone = sums(cost, w)
    with ocdl.spread(client=Sent()):
        assert isinstance(place(), Cluster)
        assert_same(sums(cost, w), alone)


def test_free_initial_states_stay_at_home():
    initial = np.ones((SAMPLES, 1)).astype(object)
    initial[3, 0] = ocdl.Free(0.0, 1.0)
    problem = ocdl.ControlProblem(
        dynamics=lambda x, u: ca.tanh(u[0] * x + u[1]),
        terminal=lambda x: x**2,
        initial=initial,
        horizon=1.0,
        controls=2,
    )
    cost = ReducedCost(problem, ocdl.ExplicitEuler(2))
    with ocdl.spread(client=Sent()), pytest.raises(ocdl.NotSupported, match="free"):
        cost.value(np.ones(cost.size))


def test_of_a_file_a_worker_gets_the_name(tmp_path):
    inputs, labels = data(3)
    for name, array, shape in (("x", inputs, (SAMPLES, 3)), ("y", labels, (SAMPLES, 1))):
        np.save(tmp_path / f"{name}.npy", array)
        mapped = np.asarray(np.load(tmp_path / f"{name}.npy", mmap_mode="r").reshape(shape))
        part = pickle.loads(pickle.dumps(_rows(mapped, slice(10, 30))))
        assert isinstance(part, OnDisk)
        np.testing.assert_array_equal(part.read(), array.reshape(shape)[10:30])
        part = _rows(mapped[5:], slice(10, 30))  # a part of a file goes as numbers
        np.testing.assert_array_equal(part, array.reshape(shape)[15:35])


def test_a_cluster_that_loses_a_worker_trains_the_same_network():
    distributed = pytest.importorskip("distributed")
    cost = ReducedCost(residual(16), ocdl.ExplicitEuler(3))
    w = 0.1 * np.random.default_rng(1).standard_normal(cost.size)
    method = ocdl.LBFGS(max_iterations=4)
    alone = method.minimise(cost, w)
    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0")
    with cluster, distributed.Client(cluster) as client, ocdl.spread(client=client):
        workers, value = client.run(getpid), cost.value_and_gradient

        def then_one_less(v):
            if workers and cost.evaluations == alone.history["evaluations"][0] + 3:
                kill(workers.popitem()[1], signal.SIGKILL)
            return value(v)

        cost.evaluations, cost.value_and_gradient = 0, then_one_less
        found = method.minimise(cost, w)
    assert len(workers) == 1
    np.testing.assert_array_equal(found.u, alone.u)
    np.testing.assert_array_equal(found.p, alone.p)
