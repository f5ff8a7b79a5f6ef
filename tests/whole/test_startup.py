"""What is loaded before it is used: the modules in memory after an import or a call for help, by name."""

import importlib
import json
import subprocess
import sys

import pytest
import xarray

import ocdl
from ocdl import xr

HEAVY = (
    *("scipy.integrate", "scipy.interpolate", "scipy.linalg", "scipy.optimize", "scipy.sparse", "scipy.spatial"),
    *("scipy.special", "scipy.stats", "pandas.plotting._matplotlib", "matplotlib", "rich", "netCDF4", "h5py"),
    *("tqdm.notebook", "dask", "distributed", "sklearn", "numba"),
)
GROUND = ("casadi", "numpy", "pandas", "xarray")
ORDINARY = (
    "import ocdl",
    "problem = ocdl.ControlProblem(states=['x', 'v'], controls=['a'], dynamics=lambda v, a: [v, a], {},",
    "    initial={{'x': 0, 'v': 0}}, final={{'x': 1, 'v': 0}}, bounds=ocdl.Box(a=(-9, 9)))",
    "solution = ocdl.solve(problem, ocdl.Radau(5, 3), ocdl.Ipopt())",
)
LEAST_EFFORT = "running=lambda a: a**2, horizon=1.0"
LEAST_TIME = "terminal=lambda T: T, horizon=ocdl.Free(0.1, 10)"  # switches inside a layer: a gap
LIGHT = {"numpy", "ocdl", "scipy", "threadpoolctl", "tqdm"}  # of numpy polynomials, of scipy its version


def loaded_after(*lines):
    """The modules that an interpreter has loaded after these lines."""
    program = "\n".join(["import json, sys", *lines, "print(json.dumps(sorted(sys.modules)))"])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def ordinary(asked):
    """A program that solves a problem of which this is asked."""
    return [line.format(asked) for line in ORDINARY]


def among(modules, *packages):
    return {name for name in modules if any(name == package or name.startswith(f"{package}.") for package in packages)}


def test_all_names_load_nothing_heavy_and_hardly_more_than_casadi_numpy_and_xarray():
    reference = loaded_after("import casadi, numpy, xarray")
    more = loaded_after("from ocdl import *") - reference
    assert "ocdl.pmp" in more and not among(more, *HEAVY)
    assert {name.split(".")[0] for name in more} - {*sys.stdlib_module_names} <= LIGHT


def test_one_route_does_not_load_the_others():
    more = loaded_after("import ocdl", "ocdl.ControlProblem, ocdl.Radau, ocdl.Ipopt, ocdl.solve")
    assert "ocdl.nlp.ipopt" in more and not among(more, "ocdl.pmp", "ocdl.hjb", "ocdl.campaign", "ocdl.comparison")


@pytest.mark.parametrize("asked", [LEAST_EFFORT, LEAST_TIME])
def test_a_problem_is_solved_and_its_cost_told_without_labelled_arrays_bars_or_any_part_of_scipy(asked):
    more = loaded_after(*ordinary(asked), "solution.cost, solution.status, solution.feasibility")
    assert "ocdl.referee.reintegration" in more and not among(more, "xarray", "pandas", "tqdm", *HEAVY)


def test_labelled_arrays_are_there_when_they_are_asked_for():
    asked = "assert type(solution.state).__name__ == 'DataArray' and solution.state.sizes['t'] == 6"
    assert {"xarray", "pandas"} <= loaded_after(*ordinary(LEAST_EFFORT), asked)


def test_threads_that_ask_first_at_once_all_get_the_same():
    lines = (
        "from concurrent.futures import ThreadPoolExecutor as Pool; from threading import Barrier; from ocdl import xr",
        "gate = Barrier(8); ask = lambda _: (gate.wait(), xr.is_labelled(1.0), xr.DataArray, xr.concat)[1:]",
        "found = set(Pool(8).map(ask, range(8))); import xarray",
        "assert found == {(False, xarray.DataArray, xarray.concat)}, found",
    )
    assert "xarray" in loaded_after(*lines)


def test_only_public_names_of_xarray_are_handed_on():
    assert xr.DataArray is xarray.DataArray and xr.is_labelled(xarray.DataArray(1.0)) and not xr.is_labelled(1.0)
    for name in ("DataArry", "__path__"):
        with pytest.raises(AttributeError, match=name):
            getattr(xr, name)


def test_import_ocdl_alone_loads_nothing_yet():
    modules = loaded_after("import ocdl")
    assert among(modules, "ocdl") == {"ocdl"} and not among(modules, *GROUND, *HEAVY, "importlib.metadata")


@pytest.mark.parametrize("command", [(), ("solve",), ("compare",), ("sweep",), ("show",)])
def test_help_loads_no_mathematics(command):
    call = f"main({[*command, '--help']}, prog_name='ocdl', standalone_mode=False)"
    modules = loaded_after("from ocdl.doors.cli import main", call)
    assert "click" in modules and not among(modules, *GROUND, *HEAVY)


# -- the names, although they are loaded late -------------------------------------------------------------


def test_every_public_name_is_listed_found_and_completed():
    assert {"solve", "compare", "Ipopt", "ValueIteration", "SelectionProblem"} <= set(ocdl.__all__) <= set(dir(ocdl))
    public = vars(importlib.import_module("ocdl.public"))
    assert all(getattr(ocdl, name) is public[name] for name in ocdl.__all__)
    assert {*ocdl.__all__} == {name for name in public if not name.startswith("_")}


def test_a_folder_is_found_without_an_import_of_its_own():
    assert "ocdl.hjb.grids" in loaded_after("import ocdl", "ocdl.hjb.ValueIteration", "from ocdl import hjb")


def test_an_unknown_name_is_an_attribute_error_and_changes_nothing(monkeypatch):
    monkeypatch.setattr(ocdl, "solve", "mine")
    with pytest.raises(AttributeError, match="'ocdl' has no attribute 'slove'"):
        ocdl.slove  # noqa: B018
    with pytest.raises(ImportError, match="slove"):
        from ocdl import slove  # noqa: F401
    assert ocdl.solve == "mine"


QUIET = """
import numpy as np, ocdl
own = ocdl.CustomActivation(lambda s: s / np.sqrt(1 + s**2), increasing=True, smooth=True, bounds=(-1, 1))
for activation in (ocdl.Tanh(), own):
    problem = ocdl.SelectionProblem(activation=activation, horizon=1.0, initial=0.5, target=2.0, bounds=ocdl.Box(a=(-1, 1), b=(-1, 1)))
    ocdl.solve(problem, ocdl.Grid(ocdl.Midpoint(2), ocdl.ExplicitEuler(3)), ocdl.NeedleSteps())
    net = ocdl.network(ocdl.Residual(activation), np.eye(2), [0.0, 1.0], regulariser=ocdl.Tikhonov(1e-2))
    ocdl.solve(net, ocdl.ExplicitEuler(3), ocdl.Train(), seed=1)
"""  # noqa: E501


def test_a_first_solve_has_no_warnings_of_others_to_read():
    done = subprocess.run([sys.executable, "-W", "default", "-c", QUIET], capture_output=True, text=True, check=True)
    assert done.stderr == ""
