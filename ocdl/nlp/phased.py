"""The NLP of linked phases: those of the phases side by side, and a row for every linkage.

w = (w_1, …, w_K),   g = (g_1(w_1), …, g_K(w_K), r(e)),   e the ends x(t0), x(T), t0, T, p in every w_k.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ocdl.depth.schemes import DepthScheme
from ocdl.nlp.assembly import Elements, NonlinearProgram, assemble, parameters_of
from ocdl.nlp.scaling import chosen_scaling
from ocdl.nlp.transcription import Transcription
from ocdl.referee.phases import found_ends
from ocdl.solving.method import Start
from ocdl.statement.phases import Ends, Phases

Array = NDArray[np.float64]


class PhasedTranscription:
    """The NLP of phases, each on its own depth scheme; ``program`` is in the units of each phase's scales."""

    def __init__(
        self,
        phases: Phases,
        depths: Sequence[DepthScheme],
        starts: Sequence[Start],
        scale: str,
        scales: Mapping[str, Any],
    ) -> None:
        self.phases = phases
        self.parts = [
            Transcription(core, depth, chosen_scaling(core, depth, start, scale, scales, 1.0).scales)
            for core, depth, start in zip(phases.cores, depths, starts, strict=True)
        ]
        self.begin = np.clip(np.concatenate(self._guesses(starts)), *self.bounds())

    # -- where everything lies ------------------------------------------------------------------------------

    @cached_property
    def columns(self) -> list[slice]:
        """The variables of every phase."""
        return _slices([part.places.size for part in self.parts])

    @cached_property
    def rows(self) -> list[slice]:
        """The rows of every phase, and those of the linkages."""
        return _slices([*(part.row_scale.size for part in self.parts), self.phases.linkage.count])

    @cached_property
    def ends(self) -> NDArray[np.int64]:
        """The places in w of x0, xT and p of every phase, in turn."""
        places = [
            column.start + np.concatenate([part.places.x[0, 0], part.places.x[-1, 0], part.places.p])
            for part, column in zip(self.parts, self.columns, strict=True)
        ]
        return np.concatenate(places)

    # -- the program ----------------------------------------------------------------------------------------

    @cached_property
    def kinds(self) -> list[Elements]:
        """All kinds of elements of all phases in their units, and the linkages."""
        kinds = []
        for part, column, row in zip(self.parts, self.columns, self.rows, strict=False):
            for kind in part.elements:
                kinds.append(replace(kind, variables=kind.variables + column.start, rows=kind.rows + row.start))
        return kinds + ([self._links.scaled(self.variable_scale, self.row_scale)] if self.phases.linkage.count else [])

    @cached_property
    def program(self) -> NonlinearProgram:
        return assemble(self.kinds, self.columns[-1].stop, self.rows[-1].stop)

    @property
    def parameters(self) -> Array:
        """What the functions of ``program`` take beside w."""
        return parameters_of([kind.values for kind in self.kinds])

    @cached_property
    def _links(self) -> Elements:
        """All linkages as one element, in the problem's own units."""
        local, columns = [], []
        for core in self.phases.cores:
            x0, xT, p = (ca.SX.sym(name, size) for name, size in (("x0", core.n), ("xT", core.n), ("p", core.P)))
            local += [x0, xT, p]
            columns += [x0, xT, core.times.begin(p), core.times.end(p), p[: core.own_parameters]]
        return Elements(
            local=ca.vertcat(*local),
            constants=ca.SX(0, 1),
            cost=ca.SX(0),
            residual=self.phases.linkage.function(*columns),
            variables=self.ends[:, None],
            rows=np.arange(self.rows[-1].start, self.rows[-1].stop)[:, None],
            values=np.zeros((0, 1)),
        )

    @cached_property
    def variable_scale(self) -> Array:
        """Units of w."""
        return np.concatenate([part.variable_scale for part in self.parts])

    @cached_property
    def row_scale(self) -> Array:
        """Factors of the rows of g; a linkage has a gradient of largest entry 1 at the start."""
        links = self._links
        slope = ca.Function("slope", [links.local], [ca.densify(ca.jacobian(links.residual, links.local))])
        steep = np.abs(slope(self.begin[self.ends]).full() * self.variable_scale[self.ends]).max(axis=1, initial=0.0)
        known = np.isfinite(steep) & (steep > 0.0)
        own = [part.row_scale for part in self.parts]
        return np.concatenate([*own, 1.0 / np.where(known, steep, 1.0)])

    # -- bounds and guess -----------------------------------------------------------------------------------

    def bounds(self) -> tuple[Array, Array]:
        """Lower and upper bounds of w."""
        low, high = zip(*(part.bounds() for part in self.parts), strict=True)
        return np.concatenate(low), np.concatenate(high)

    def row_bounds(self) -> tuple[Array, Array]:
        """Lower and upper bounds of g."""
        low, high = zip(*(part.row_bounds() for part in self.parts), strict=True)
        linkage = self.phases.linkage
        return np.concatenate([*low, linkage.low]), np.concatenate([*high, linkage.high])

    def _guesses(self, starts: Sequence[Start]) -> list[Array]:
        return [part.guess(start) for part, start in zip(self.parts, starts, strict=True)]

    # -- and back -------------------------------------------------------------------------------------------

    def links(self, multipliers: Array) -> Array:
        """The multipliers of the linkages, without rounding that presses against no bound."""
        found, linkage = multipliers[self.rows[-1]], self.phases.linkage
        absent = ((found > 0.0) & np.isposinf(linkage.high)) | ((found < 0.0) & np.isneginf(linkage.low))
        return np.where(absent, 0.0, found)

    def split(self, w: Array, multipliers: Array) -> list[tuple[Transcription, Array, Array]]:
        """Each phase with the ends of the others held at those of w (``Phases.given``): its transcription, its
        variables, and its multipliers with those of its linkages, which there are rows of boundary.
        """
        ends, found = self._found(w), []
        for k, part in enumerate(self.parts):
            given = self.phases.given(k, ends)
            units = np.append(part.scales.boundary, np.ones(given.rows("boundary") - part.scales.boundary.size))
            linked = Transcription(given, part.depth, replace(part.scales, boundary=units))
            own, free = multipliers[self.rows[k]], len(part.problem.free_initial)
            inner, last = np.split(own, [own.size - free])
            mu = multipliers[self.rows[-1]][self.phases.linkage.rows[k]]
            found.append((linked, w[self.columns[k]], np.concatenate([inner, mu, last])))
        return found

    def _found(self, w: Array) -> list[Ends]:
        outcomes = []
        for part, column in zip(self.parts, self.columns, strict=True):
            (_, p), x = part.controls(w[column]), part.trajectory(w[column])[0]
            outcomes.append((x, p))
        return found_ends(self.phases, outcomes)


def _slices(sizes: Sequence[int]) -> list[slice]:
    ends = np.cumsum([0, *sizes]).tolist()
    return [slice(a, b) for a, b in pairwise(ends)]
