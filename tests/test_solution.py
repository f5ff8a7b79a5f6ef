"""Solution: what is saved is what is loaded, and nothing but ours is loaded."""

import os
import pickle

import netCDF4
import numpy as np
import pytest
import xarray as xr
from families import rich, selection

import ocdl
from ocdl import Outcome, Status
from ocdl.certify import judged


def made(problem, layers=3, status=Status.CYCLE):
    scheme = ocdl.Radau(layers, degree=2)
    g = np.random.default_rng(0)
    N, s, S, n = layers, 2, problem.samples, problem.n
    outcome = Outcome(
        u=g.uniform(-1, 1, (layers, problem.m)),
        p=g.uniform(-1, 1, problem.P),
        status=status,
        detail="12 iterations, Ünïcode.",
        claim={"cost": 1.25, "costate": g.normal(size=(N + 1, S, n)), "stage_costate": g.normal(size=(N, s, S, n))},
        history={"cost": [3.0, 2.0, 1.0], "gap": [1.0, 0.5, np.nan]},
        extras={"value": xr.DataArray(g.normal(size=(2, 3)), dims=("t", "x0"), coords={"x0": [0.0, 0.5, 1.0]})},
    )
    return judged(problem, scheme, outcome, method="Made", seconds=0.25)


def problems():
    plane = {"domain": ((0, 1), (0, 1)), "initial": 0.1, "target": 0.2}
    square = ocdl.TensorProduct(ocdl.Midpoint(2), ocdl.Midpoint(2))
    return {
        "one sample": selection().discretise(ocdl.Midpoint(3)),
        "readout": selection(initial=np.eye(3), readout=ocdl.Readout(), target=[0, 1, 1]).discretise(ocdl.Midpoint(3)),
        "plane": selection(**plane).discretise(square),
        "control": rich(2),
    }


@pytest.fixture(params=list(problems()))
def solution(request):
    return made(problems()[request.param])


def test_saved_and_loaded_is_the_same(solution, tmp_path):
    solution.save(tmp_path / "run.nc")
    again = ocdl.load(tmp_path / "run.nc")
    assert again.tree.identical(solution.tree)
    for name in ("method", "status", "detail", "seconds", "cost", "gap", "gap_is_exact", "feasibility"):
        assert getattr(again, name) == getattr(solution, name)
        assert type(getattr(again, name)) is type(getattr(solution, name))
    xr.testing.assert_identical(again.state, solution.state)
    for kind in ("controls", "parameters", "gradient", "claim", "history", "extras"):
        first, second = dict(getattr(solution, kind)), dict(getattr(again, kind))
        assert list(first) == list(second)
        for name, value in first.items():
            assert value.identical(second[name]) if isinstance(value, xr.DataArray) else value == second[name]
    assert repr(again) == repr(solution) and "Made" in repr(again)


@pytest.mark.parametrize("status", list(Status))
def test_every_status_survives(status, tmp_path):
    made(problems()["control"], status=status).save(str(tmp_path / "run.nc"))
    assert ocdl.load(str(tmp_path / "run.nc")).status is status


def test_saving_twice_overwrites(tmp_path):
    made(problems()["one sample"], layers=5).save(tmp_path / "run.nc")
    made(problems()["one sample"], layers=2).save(tmp_path / "run.nc")
    assert ocdl.load(tmp_path / "run.nc").a.sizes["t"] == 2


def test_loading_executes_nothing(tmp_path, monkeypatch):
    made(problems()["one sample"]).save(tmp_path / "run.nc")

    def refuse(*_, **__):
        raise AssertionError("something was unpickled")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    assert ocdl.load(tmp_path / "run.nc").method == "Made"


def test_a_pickle_is_refused_unopened(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    (tmp_path / "run.nc").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ocdl.InvalidInput, match="netCDF"):
        ocdl.load(tmp_path / "run.nc")
    assert not (tmp_path / "sprung").exists()


def foreign(path):
    xr.Dataset({"temperature": ("x", [1.0, 2.0])}).to_netcdf(path, engine="netcdf4")


def other_version(path):
    xr.Dataset(attrs={"format": "ocdl solution 99"}).to_netcdf(path, engine="netcdf4")


def truncated(path):
    made(problems()["one sample"]).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def emptied(path):
    made(problems()["one sample"]).save(path)
    with netCDF4.Dataset(path, "a") as file:
        file.delncattr("status")


def unknown_status(path):
    made(problems()["one sample"]).save(path)
    with netCDF4.Dataset(path, "a") as file:
        file.status = "SPLENDID"


def gutted(path):
    whole = made(problems()["one sample"])
    xr.DataTree.from_dict({"/": xr.Dataset(attrs=whole.tree.attrs)}).to_netcdf(path, engine="netcdf4")


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (foreign, "no such mark"),
        (other_version, "ocdl solution 99"),
        (truncated, "netCDF-4"),
        (lambda path: path.write_text("t,a,b\n0,1,2\n"), "netCDF-4"),
        (lambda path: path.write_bytes(b""), "netCDF-4"),
        (lambda path: path.mkdir(), "directory"),
        (lambda path: None, "no such file"),
        (emptied, "status"),
        (unknown_status, "SPLENDID"),
        (gutted, "nodes"),
    ],
    ids=["foreign", "version", "truncated", "text", "empty", "directory", "missing", "attr", "status", "gutted"],
)
def test_what_is_not_ours_is_refused(write, said, tmp_path):
    path = tmp_path / "thing.nc"
    write(path)
    with pytest.raises(ocdl.InvalidInput) as caught:
        ocdl.load(path)
    assert str(path) in str(caught.value) and said in str(caught.value), str(caught.value)


def test_saving_where_no_directory_is_says_so(tmp_path):
    with pytest.raises(ocdl.InvalidInput, match="nowhere"):
        made(problems()["one sample"]).save(tmp_path / "nowhere" / "run.nc")


def test_attributes_are_controls_and_parameters():
    solution = made(problems()["readout"])
    assert solution.W.dims == ("output", "z") and solution.mu.dims == ("output",) and solution.b.dims == ("t", "y", "z")
    with pytest.raises(AttributeError, match=r"no 'c'; its controls are \['a', 'b', 'W', 'mu'\]"):
        _ = solution.c


def test_claims_are_in_function_space():
    problem = problems()["one sample"]
    solution = made(problem)
    raw = np.random.default_rng(0)
    raw.uniform(-1, 1, (3, problem.m))
    raw.uniform(-1, 1, problem.P)
    np.testing.assert_allclose(solution.claim["costate"], raw.normal(size=(4, 1, 3)) / problem.state_metric)
    assert solution.claim["cost"] == 1.25 and isinstance(solution.claim["cost"], float)
    assert solution.claim["costate"].dims == ("t", "sample", "y")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a\0b.nc", "NUL"),
        ("x" * 300 + ".nc", "cannot be the name of a file"),
        ("file/run.nc", "no directory"),
        ("pipe", "device, pipe or socket"),
        ("loop/run.nc", ""),
    ],
)
def test_impossible_names_are_refused_in_words(name, said, tmp_path):
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(ocdl.InvalidInput, match="save\\(") as caught:
        made(problems()["one sample"]).save(f"{tmp_path}/{name}")
    assert said in str(caught.value), str(caught.value)
    assert sorted(os.listdir(tmp_path)) == ["file", "loop", "pipe"]


@pytest.mark.parametrize("name", [5, None, b"run.nc"])
def test_what_is_no_name_is_refused(name):
    with pytest.raises(ocdl.InvalidInput, match="the name of a file is needed; got"):
        made(problems()["one sample"]).save(name)


def test_a_disk_that_refuses_keeps_the_old_file(tmp_path, monkeypatch):
    solution = made(problems()["one sample"])
    solution.save(tmp_path / "run.nc")
    old = (tmp_path / "run.nc").read_bytes()

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(xr.DataTree, "to_netcdf", full)
    with pytest.raises(ocdl.NotWritten, match=r"cannot be written .*No space left"):
        solution.save(tmp_path / "run.nc")
    assert os.listdir(tmp_path) == ["run.nc"] and (tmp_path / "run.nc").read_bytes() == old


def test_the_longest_name_that_a_file_may_have(tmp_path):
    made(problems()["one sample"]).save(tmp_path / ("x" * 252 + ".nc"))
    assert len(os.listdir(tmp_path)) == 1
