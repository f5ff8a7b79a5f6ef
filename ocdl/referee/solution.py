"""Solution: what every route returns, labelled, judged by the referee; saved and loaded as netCDF."""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ocdl import xr
from ocdl.arrays import Array
from ocdl.depth.schemes import DepthScheme
from ocdl.errors import InvalidInput, NotSupported, NotWritten
from ocdl.files import whole_file
from ocdl.offers import offered
from ocdl.referee import hdf5, schema
from ocdl.referee.certificate import Certificate, principle
from ocdl.referee.entries import entry, names
from ocdl.referee.frames import as_frame
from ocdl.referee.outcome import Status
from ocdl.referee.sampling import Dense, sampled, shape_named
from ocdl.referee.schema import FORMAT, GROUPS
from ocdl.referee.summary import Summary, summarised
from ocdl.statement.layout import Layout


@dataclass(frozen=True, eq=False)
class Answer:
    """An answer before it is labelled: its scheme and layout, its controls u (Q, m), parameters
    p (P,), states and Euclidean costates at the nodes (N+1, S, n) and at the stages (N, s, S, n), and how each of its
    ``groups`` is labelled.
    """

    depth: DepthScheme
    layout: Layout
    u: Array
    p: Array
    x: Array
    costate: Array
    stages: Array
    stage_costate: Array
    groups: Mapping[str, Callable[[], xr.Dataset]]
    made: dict[str, xr.Dataset] = field(default_factory=dict)


class Solution:
    """One answer to one problem on one grid, as labelled arrays in an xarray ``DataTree``.

    ``nodes``: state and costate at t_0..t_N; ``layers``: controls, Hamiltonian and gradients, constant on
    [t_k, t_{k+1}) and labelled by t_k; ``stages``: state and costate at the stages; ``parameters``; ``claim``: what
    the route says of itself; ``history``: its learning curve. States and costates at the nodes are the answer's own
    where the route has them, with what they miss of their equations (``state_defect``, ``costate_defect``); everything
    else but ``claim``, ``history`` and ``extras`` is recomputed by the referee.
    """

    def __init__(self, tree: xr.DataTree) -> None:
        self._tree: xr.DataTree | None = tree
        self._attrs: dict[Any, Any] = tree.attrs
        self._answer: Answer | None = None

    @classmethod
    def unlabelled(cls, answer: Answer, attrs: Mapping[str, Any]) -> Solution:
        """A solution whose labelled arrays are made, group by group, when they are asked for."""
        new = cls.__new__(cls)
        new._tree, new._attrs, new._answer = None, dict(attrs), answer
        return new

    def __reduce__(self) -> tuple[type[Solution], tuple[xr.DataTree]]:
        return Solution, (self.tree,)

    @property
    def tree(self) -> xr.DataTree:
        """All groups of labelled arrays, with the plain figures as attributes."""
        if self._tree is None:
            assert self._answer is not None
            groups = {name: self.group(name) for name in self._answer.groups}
            self._tree = xr.DataTree.from_dict({name: group for name, group in groups.items() if group.variables})
            self._tree.attrs = self._attrs
            self._attrs = self._tree.attrs
        return self._tree

    @property
    def attrs(self) -> dict[Any, Any]:
        """The plain figures and texts of the solution."""
        return self._attrs if self._tree is None else self._tree.attrs

    @property
    def answer(self) -> Answer | None:
        """What was judged, unlabelled, of a solution that was found in this process."""
        return self._answer

    def group(self, name: str) -> xr.Dataset:
        """The labelled arrays of one group; none where there is no such group."""
        if self._tree is not None:
            return self._tree.children[name].dataset if name in self._tree.children else xr.Dataset()
        assert self._answer is not None
        if name not in self._answer.made:
            self._answer.made[name] = self._answer.groups.get(name, xr.Dataset)()
        return self._answer.made[name]

    # -- what was solved, and how it ended -----------------------------------------------------------

    @property
    def method(self) -> str:
        """Name of the method."""
        return str(self.attrs["method"])

    @property
    def status(self) -> Status:
        """How the solve ended; ``status.value`` is the sentence to read."""
        return Status[str(self.attrs["status"])]

    @property
    def detail(self) -> str:
        """This run's figures in a sentence."""
        return str(self.attrs["detail"])

    @property
    def seconds(self) -> float:
        """Wall time of the route, without the referee."""
        return float(self.attrs["seconds"])

    # -- the referee's verdict -----------------------------------------------------------------------

    @property
    def cost(self) -> float:
        """J along the answer's own states, by the quadrature of its depth scheme."""
        return float(self.attrs["cost"])

    @property
    def gap(self) -> float:
        """Maximum-principle gap Σ_k h_k Σ_i b_i [H(u_k) − min_u H] at the stages; zero for an extremal."""
        return float(self.attrs["gap"])

    @property
    def gap_is_exact(self) -> bool:
        """Whether every min_u H is proven (closed form, vertex, convex quadratic); else the gap is at least this."""
        return bool(self.attrs["gap_is_exact"])

    @property
    def search(self) -> str:
        """How min H was found: "proven", "thorough" (sought in the whole box) or "local" (by a counted number of
        descents, the same at every call; ``certify(..., thorough=True)`` does more); "first order" where it was not
        sought and the gap is NaN. Empty where a file does not say.
        """
        return str(self.attrs.get("search", ""))

    @property
    def stationarity(self) -> float:
        """Norm of the projected gradient in function space; NaN in files of before."""
        certificate = self.certificate
        return math.nan if certificate is None else certificate.stationarity

    def principle(self, form: str = ".1e") -> str:
        """The gap in words, the projected gradient where the certificate is of first order; figures in ``form``."""
        return principle(self.gap, self.gap_is_exact, self.search, self.stationarity, form)

    @property
    def referee_seconds(self) -> float:
        """What judging took beside ``seconds`` of the method; NaN where it was not judged."""
        return float(self.attrs.get("referee_seconds", math.nan))

    @property
    def feasibility(self) -> float:
        """Largest violation of a bound, a constraint, or the state equation (there in units of max(1, |x|))."""
        return float(self.attrs["feasibility"])

    @property
    def defect_worth(self) -> float:
        """Σ ⟨p, δ⟩: what the defects δ of the answer's own states changed J by, to first order; 0 for swept states."""
        return float(self.attrs.get("defect_worth", 0.0))

    @property
    def control_set(self) -> str:
        """The method's own control set, where it is less than the problem's; else empty."""
        return str(self.attrs.get("control_set", ""))

    @property
    def discrete(self) -> bool:
        """The layers are the statement itself, and there is nothing between them."""
        return bool(self.attrs.get("discrete", False))

    @property
    def certificate(self) -> Certificate | None:
        """What the referee found beyond the gap, e.g. the re-integrated cost; None in files saved without."""
        return Certificate.of(self.attrs)

    @property
    def notes(self) -> list[str]:
        """What was noticed before the solve: targets out of reach, a guess outside its box."""
        return [line for line in str(self.attrs.get("notes", "")).split("\n") if line]

    @property
    def horizon(self) -> float:
        """T − t0, given or found."""
        return float(self.state["t"][-1] - self.state["t"][0])

    @property
    def state(self) -> xr.DataArray:
        """f(y, t) at the depth nodes, dimensions (t, sample, y)."""
        return self.group("nodes")["states"]

    @property
    def costate(self) -> xr.DataArray:
        """p = ∂J/∂f in function space at the depth nodes, dimensions (t, sample, y)."""
        return self.group("nodes")["costate"]

    @property
    def state_defect(self) -> xr.DataArray:
        """What the answer's own states miss of the state equation at the nodes, (t, sample, y); 0 for swept states."""
        return self._defect("state_defect", self.state)

    @property
    def costate_defect(self) -> xr.DataArray:
        """What its own costates miss of the adjoint equation, layer by layer, in function space; 0 where swept."""
        return self._defect("costate_defect", self.costate)

    def _defect(self, name: str, like: xr.DataArray) -> xr.DataArray:
        """Files of before have none: their states and costates are sweeps."""
        nodes = self.group("nodes")
        return nodes[name] if name in nodes else xr.zeros_like(like).rename(name)

    @property
    def multipliers(self) -> dict[str, xr.DataArray]:
        """λ ≷ 0 of what presses on an upper or lower bound, where the route has them: of the state at the nodes
        (``multiplier``) and stages, ``path_multiplier`` and ``boundary_multiplier``; rows of the discrete Lagrangian.
        """
        groups = [self.group(name) for name in GROUPS]
        return {str(name): group[name] for group in groups for name in group.data_vars if "multiplier" in str(name)}

    @property
    def r(self) -> xr.DataArray:
        """The costate of Liu and Markowich, who maximise: r = −p."""
        return (-self.costate).rename("r")

    @property
    def hamiltonian(self) -> xr.DataArray:
        """H of the controls, averaged over the stages of each layer, dimension t."""
        return self.group("layers")["hamiltonian"]

    @property
    def controls(self) -> dict[str, xr.DataArray]:
        """The controls by name, e.g. a (t, y) and b (t, y, z): constant on the layer that starts at t.

        Piecewise linear controls are given at the nodes; controls of their own at every stage have a dimension stage.
        """
        return self._named("control")

    @property
    def parameters(self) -> dict[str, xr.DataArray]:
        """The time-invariant parameters by name, e.g. W (output, z) and mu (output)."""
        return self._named("parameter")

    @property
    def gradient(self) -> dict[str, xr.DataArray]:
        """Gradient of the discrete cost in function space, by control and parameter name."""
        return self._named("gradient")

    @property
    def claim(self) -> Mapping[str, Any]:
        """What the route itself reports: ``cost``, and where it has them ``costate`` and ``stage_costate``."""
        return _Group(self.group("claim"))

    @property
    def history(self) -> Mapping[str, Any]:
        """The route's learning curve: one array an iterate's figure."""
        return _Group(self.group("history"))

    @property
    def extras(self) -> Mapping[str, Any]:
        """What else the route found worth keeping, e.g. ``value``, the value function on its grid."""
        return _Group(self.group("extras"))

    # -- as users read it -----------------------------------------------------------------------------

    def sample(self, t: Any) -> xr.Dataset:
        """``states``, ``costate`` and the controls at any depths t (K,) in [0, T], by the scheme's own polynomials.

        Exact at nodes and stages. Collocation of s stages: states to order s + 1 everywhere; other schemes: cubics of
        Hermite, to the order of the scheme and 4 at most. At a node what jumps has its value just behind.
        Raises InvalidInput for depths outside, NotSupported for files of before, which lack what this needs.
        """
        slope = self.group("dense")
        if not (self.attrs.get("collocates") or "state_slope" in slope):
            raise NotSupported("sample: this file was saved without what lies between its nodes; solve again.")
        return sampled(self._dense, t, self.group("nodes"), self.group("stages"), slope, self.controls)

    def to_pandas(self, t: Any = None) -> Any:
        """A pandas ``DataFrame`` with one row a depth (and sample, where there are many): states, controls, costates.

        t (K,): depths as in ``sample``; the nodes by default.
        """
        return as_frame(self.sample(self.state["t"].values if t is None else t), list(self.controls))

    def to_csv(self, path: str | Path, t: Any = None) -> None:
        """Write the table of ``to_pandas``: beside ``path``, and renamed. Raises as ``save`` does."""
        table = self.to_pandas(t)
        _write(f"to_csv({str(path)!r})", path, table.to_csv)

    def summary(self) -> Summary:
        """How it ended, active constraints by name, switching structure, durations; printed it is text."""
        return summarised(self, self._dense)

    @property
    def _dense(self) -> Dense:
        """The layers of the answer, with the shape of its controls."""
        shape = shape_named(str(self.attrs["scheme"])) if self._answer is None else self._answer.depth.controls
        return Dense.of(self.state["t"].values, self.group("stages")["depth"].values, shape)

    def plot(self) -> Any:
        """A matplotlib ``Figure`` of states, costates, Hamiltonian and controls: ``ocdl.plot_solution``."""
        return offered("plot_solution")(self)

    def __getattr__(self, name: str) -> xr.DataArray:
        if not name.startswith("_") and "_attrs" in self.__dict__:
            named = self.controls | self.parameters
            if name in named:
                return named[name]
            raise AttributeError(f"a solution by {self.method} has no {name!r}; its controls are {list(named)}")
        raise AttributeError(name)

    def __getitem__(self, name: str) -> xr.DataArray:
        """A state, control or parameter by its name, e.g. ``solution["h"]``; without dimension sample where that is 1.

        Its unit, where the problem has one, is ``attrs["units"]``. Raises InvalidInput where there is no such name.
        """
        return entry(f"<solution by {self.method}>", name, self.state, {**self.controls, **self.parameters})

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.controls, *self.parameters})

    def _ipython_key_completions_(self) -> list[str]:
        return names(self.state, {**self.controls, **self.parameters})

    def _named(self, role: str) -> dict[str, xr.DataArray]:
        holding = GROUPS if self._answer is None else (self._answer.depth.controls.group,)
        groups = [self.group(name) for name in (*holding, "parameters")]
        arrays = [array for group in groups for array in group.data_vars.values() if array.attrs.get("role") == role]
        return {str(array.attrs["symbol"]): array for array in arrays}

    def __repr__(self) -> str:
        return (
            f"<ocdl.Solution by {self.method}: cost {self.cost:.10g}, {self.principle('.2e')}, "
            f"feasibility {self.feasibility:.1e}{self._continuous}; "
            f"{self.status.value}{' ' + self.detail if self.detail else ''}>"
        )

    @property
    def _continuous(self) -> str:
        """The certificate in a few words."""
        certificate = self.certificate
        if certificate is None or not math.isfinite(certificate.cost):
            return ""
        flag = f", super-optimal by {-certificate.excess:.1e}" if certificate.super_optimal else ""
        return f", re-integrated {certificate.cost:.10g} ± {certificate.error:.0e}{flag}"

    # -- files ------------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write everything to a netCDF file (groups nodes, layers, stages, ...).

        The name always stands for a whole file, the old one or the new (``whole_file``).

        Raises InvalidInput where this is no name of a file, NotWritten where the system refuses.
        """
        write_tree(self.tree, path)


def write_tree(tree: xr.DataTree, path: str | Path) -> None:
    """Write a tree, whole or not at all (``Solution.save``)."""
    _write(f"save({str(path)!r})", path, lambda part: tree.to_netcdf(part, engine="netcdf4"))


def _write(said: str, path: Any, write: Callable[[Path], Any]) -> None:
    """``write`` a whole file, or none. Raises InvalidInput or NotWritten, which say ``said``."""
    whole = _file_name(said, path)
    try:
        with whole_file(whole) as part:
            write(part)
    except (OSError, RuntimeError) as error:  # the netCDF library says RuntimeError where the disk is full
        why = getattr(error, "strerror", None) or f"{error}; is the disk full?"
        raise NotWritten(f"{said}: this file cannot be written; {why}.") from error


def _file_name(said: str, path: Any) -> Path:
    """The name of a regular file, there or not yet, in a directory that is there."""
    if not isinstance(path, (str, os.PathLike)) or not isinstance(os.fspath(path), str):
        raise InvalidInput(f"{said}: the name of a file is needed; got {type(path).__name__}.")
    if "\0" in os.fspath(path):
        raise InvalidInput(f"{said}: the name of a file cannot hold the character NUL.")
    try:
        whole = Path(path).resolve()
        kind = whole.stat().st_mode if whole.exists() else stat.S_IFREG
        if stat.S_ISDIR(kind):
            raise InvalidInput(f"{said}: this is a directory; the name of a file is needed.")
        if not stat.S_ISREG(kind):
            raise InvalidInput(f"{said}: this is a device, pipe or socket; the name of a file is needed.")
        if not whole.parent.is_dir():
            raise InvalidInput(f"{said}: there is no directory {str(Path(path).parent)!r}.")
    except (OSError, RuntimeError) as error:  # too long a name, links in a circle
        raise InvalidInput(f"{said}: this cannot be the name of a file ({error}).") from None
    return whole


class _Group(Mapping[str, Any]):
    """The variables of one group of the tree by name, scalars as floats."""

    def __init__(self, group: xr.Dataset) -> None:
        self._variables = dict(group.data_vars)

    def __getitem__(self, name: str) -> Any:
        variable = self._variables[name]
        return float(variable) if variable.ndim == 0 else variable

    def __iter__(self) -> Iterator[str]:
        return iter(str(name) for name in self._variables)

    def __len__(self) -> int:
        return len(self._variables)


def load(path: str | Path) -> Solution:
    """Read a solution that ``Solution.save`` wrote; data only, no code is ever executed.

    Raises InvalidInput for a file that is missing, is no netCDF, is not ours, links to others, or is damaged: what is
    returned keeps the schema in ``ocdl.schema``, on which everything that a Solution can do relies.
    """
    tree = read_tree(path, FORMAT)
    damaged = schema.objection(tree)
    if damaged:
        raise InvalidInput(f"load({str(path)!r}): the file is damaged: {damaged}.")
    return Solution(tree)


def read_tree(path: str | Path, format_: str) -> xr.DataTree:
    """The tree of a file that is safe to read and marked ``format_``; InvalidInput for any other."""
    if not Path(path).is_file():
        found = "this is a directory" if Path(path).is_dir() else "there is no such file"
        raise InvalidInput(f"load({str(path)!r}): {found}; a file that Solution.save wrote is needed.")
    try:
        unsafe = hdf5.objection(Path(path))
        tree = None if unsafe else _read(path)
    except Exception as error:  # the readers below raise what they like
        raise InvalidInput(f"load({str(path)!r}): this is no netCDF-4 file that can be read ({error}).") from None
    if tree is None:
        raise InvalidInput(f"load({str(path)!r}): this file is not safe to read: {unsafe}.")
    if tree.attrs.get("format") != format_:
        found = tree.attrs.get("format", "no such mark")
        raise InvalidInput(f"load({str(path)!r}): a file marked {format_!r} is needed; this one has {found!r}.")
    return tree


def _read(path: str | Path) -> xr.DataTree:
    """The whole tree, in memory and without the file's own wishes of how it is to be saved again."""
    with xr.open_datatree(path, engine="netcdf4") as opened:
        tree = opened.load()
    return xr.DataTree.from_dict({node.path: node.to_dataset(inherit=False).drop_encoding() for node in tree.subtree})
