"""A checkpoint is resumed by the run it belongs to and by no other; no state of the file or the disk loses V."""

import errno
import os

import casadi as ca
import numpy as np
import pytest

from ocdl.depth.schemes import Kutta4
from ocdl.errors import InvalidInput
from ocdl.hjb import ValueIteration, value_iteration
from ocdl.hjb.schemes.general import General
from ocdl.referee.outcome import Status
from ocdl.solving.method import Start
from ocdl.statement.bounds import Box
from ocdl.statement.problem import ControlProblem

STATEMENT = {
    "dynamics": lambda x, u: ca.vertcat(x[1], u),
    "initial": [0.5, 0.0],
    "horizon": 1.0,
    "terminal": lambda x, d: (x[0] - d[0]) ** 2 + x[1] ** 2,
    "running": lambda x: 0.1 * x[0] ** 2,
    "effort": lambda u: 0.1 * u**2,
    "data": [[0.2]],
    "bounds": Box(u=(-1, 1)),
}


def nearest(t, x, p):
    return np.clip(-5.0 * p[:, 0, 1:], -1.0, 1.0)


OPTIONS = {"nodes": (9, 11), "domain": (-2, 2), "steps": 4, "minimiser": nearest}


def solved(path, statement=None, **options):
    problem = ControlProblem(**{**STATEMENT, **(statement or {})})
    return ValueIteration(**{**OPTIONS, **options}, checkpoint=path).value_function(problem)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "run.npz"
    return solved(path).values, path.read_bytes()


@pytest.fixture
def written(whole, tmp_path):
    path, (values, content) = tmp_path / "run.npz", whole
    path.write_bytes(content)
    return path, values


def test_the_same_statement_resumes_whatever_its_functions_are_called_and_where_it_starts(written):
    path, values = written
    stamp = os.stat(path).st_mtime_ns
    again = {
        "dynamics": lambda u, x: [x[1], u],
        "effort": lambda t, u: 0.1 * u**2,
        "initial": [0.3, 0.1],
    }
    resumed = solved(path, again, minimiser=lambda t, x, p: nearest(t, x, p), feedback="lookahead")
    assert np.array_equal(resumed.values, values)
    assert os.stat(path).st_mtime_ns == stamp


CHANGES = {
    "dynamics": {"dynamics": lambda x, u: ca.vertcat(x[1], 0.9 * u)},
    "running": {"running": lambda x: 0.2 * x[0] ** 2},
    "effort": {"effort": lambda u: 0.1 * u**2 + 1e-12},
    "terminal": {"terminal": lambda x, d: (x[0] - d[0]) ** 2 + x[1] ** 2 + 1e-12},
    "data": {"data": [[0.3]]},
    "horizon": {"horizon": 1.1},
    "bounds of the controls": {"bounds": Box(u=(-1, 2))},
    "bounds of the states": {"bounds": Box(u=(-1, 1), x=(-3, lambda t: 3.0 - 0.1 * t))},
}


@pytest.mark.parametrize("name", CHANGES)
def test_another_statement_is_refused_by_the_name_of_what_differs(written, name):
    path, _ = written
    with pytest.raises(InvalidInput, match=name):
        solved(path, CHANGES[name])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("controls, minimiser", {"minimiser": None, "controls": [[-1.0], [1.0]]}),
        ("minimiser", {"minimiser": None}),
        ("minimiser", {"minimiser": lambda t, x, p: np.clip(-4.0 * p[:, 0, 1:], -1.0, 1.0)}),
        ("minimiser", {"minimiser": lambda t, x, p: np.where(t[:, None] > 0.9, 0.0, nearest(t, x, p))}),
        ("scheme", {"scheme": "linear"}),
        ("grid of states", {"nodes": 11}),
        ("grid of states", {"domain": (-2, 2.1)}),
        ("steps, depths kept", {"steps": 6}),
        ("depths kept", {"depths": [0.5]}),
    ],
)
def test_other_options_are_refused_by_the_name_of_what_differs(written, name, options):
    path, _ = written
    with pytest.raises(InvalidInput, match=f"scheme: (.*, )?{name}.* differ"):
        solved(path, **options)


def test_weights_of_samples_belong_to_the_statement(tmp_path):
    path = tmp_path / "run.npz"
    base = {
        "dynamics": lambda u: u,
        "initial": [[0.5], [0.1]],
        "terminal": lambda x: x**2,
        "running": None,
        "data": None,
    }
    solved(path, base | {"weights": [1, 1]}, nodes=7, minimiser=None)
    with pytest.raises(InvalidInput, match="weights differ"):
        solved(path, base | {"weights": [1, 2]}, nodes=7, minimiser=None)


def test_other_finite_controls_do_not_return_the_old_value(tmp_path):
    """ẋ = u from 0 costs x(T)²/2: with u = 0 nothing, with u = ±1 over one step a half."""
    path = tmp_path / "run.npz"
    options = {"nodes": 21, "domain": (-2, 2), "steps": 1}
    statement = {"dynamics": lambda u: u, "initial": [0.0], "horizon": 1.0, "bounds": Box(u=(-1, 1))}
    problem = ControlProblem(**statement, terminal=lambda x: 0.5 * x**2)
    value = ValueIteration(**options, controls=[[-1.0], [1.0]], checkpoint=path).value_function(problem)
    assert float(value([0.0])) == pytest.approx(0.5)
    other = ValueIteration(**options, controls=[[0.0], [1.0]], checkpoint=path)
    with pytest.raises(InvalidInput, match="controls differ"):
        other.value_function(problem)
    path.unlink()
    assert float(other.value_function(problem)([0.0])) == 0.0


# -- files and disks ------------------------------------------------------------------------------------


def rewritten(path, **changes):
    with np.load(path) as saved:
        known = dict(saved)
    np.savez(path, **{name: array for name, array in (known | changes).items() if array is not None})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": None}, "another version"),
        ({"format": 99}, "another version"),
        ({"mark": "no mark"}, "no checkpoint"),
        ({"value": None}, "no checkpoint"),
        ({"value": 0.0}, "sizes"),
        ({"table": np.zeros(3)}, "sizes"),
        ({"done": -1}, "sizes"),
        ({"done": 1000}, "sizes"),
        ({"done": [1, 2]}, "no checkpoint"),
        ({"value": np.array([None])}, "no checkpoint"),
    ],
)
def test_files_of_another_make_are_refused(written, changes, said):
    path, _ = written
    rewritten(path, **changes)
    with pytest.raises(InvalidInput, match=f"checkpoint=.*{said}"):
        solved(path)


def test_damaged_files_are_refused_or_harmless(written):
    path, values = written
    whole, generator = path.read_bytes(), np.random.default_rng(0)
    for k in range(40):
        damaged = bytearray(whole[: generator.integers(len(whole))] if k % 4 == 0 else whole)
        for place in generator.integers(len(damaged), size=3) if damaged and k % 4 else ():
            damaged[place] ^= 1 << generator.integers(8)
        path.write_bytes(bytes(damaged))
        try:
            assert np.array_equal(solved(path).values, values)
        except InvalidInput as error:
            assert "checkpoint=" in str(error)


@pytest.mark.parametrize("place", ["missing/run.npz", ".", "pipe", "file/run.npz", "a\0b"])
def test_a_place_that_takes_no_file_is_named_before_the_march(tmp_path, place):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InvalidInput, match="checkpoint="):
        solved(f"{tmp_path}/{place}")


@pytest.mark.parametrize("given", [5, "", b"run.npz"])
def test_what_is_no_path_is_named(given):
    with pytest.raises(InvalidInput, match="checkpoint="):
        solved(given)


def full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


def solution(path):
    problem = ControlProblem(**STATEMENT)
    method = ValueIteration(**OPTIONS, checkpoint=path, checkpoint_seconds=1e-9)
    return method.solve(problem, Kutta4(4), Start(np.zeros((4, problem.m)), np.zeros(0)))


def test_a_full_disk_is_warned_of_and_loses_nothing(tmp_path, monkeypatch):
    expected = solution(None)
    monkeypatch.setattr(np, "savez", full)
    with pytest.warns(RuntimeWarning, match=r"checkpoint=.*could not be saved.*No space left"):
        found = solution(tmp_path / "run.npz")
    assert found.status is Status.ROLLED_OUT
    assert np.array_equal(found.extras["value"], expected.extras["value"])
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_rollout_keeps_v(tmp_path, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    expected = solution(None).extras["value"]
    monkeypatch.setattr(value_iteration, "closed_loop", stopped)
    found = solution(tmp_path / "run.npz")
    assert found.status is Status.INTERRUPTED and "its rollout was interrupted" in found.detail
    assert np.array_equal(found.extras["value"], expected) and (tmp_path / "run.npz").exists()


def test_an_interrupt_on_a_full_disk_keeps_what_is_done(tmp_path, monkeypatch):
    advance = General.advance

    def stopping(self, value, done):
        if done == 2:
            raise KeyboardInterrupt
        return advance(self, value, done)

    monkeypatch.setattr(np, "savez", full)
    monkeypatch.setattr(General, "advance", stopping)
    with pytest.warns(RuntimeWarning, match="could not be saved"):
        found = solution(tmp_path / "run.npz")
    assert found.status is Status.INTERRUPTED and found.extras["value"].sizes["t"] == 3
