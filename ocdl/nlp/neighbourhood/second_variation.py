"""The second variation along an answer, swept back over the layers: feedback gains, Riccati matrices, its definiteness.

V_k(x, p, ν) = ½ (x, p, ν)ᵀ M (x, p, ν) is the least second variation of the layers from k on, with active constraints
held, ν the multipliers of what is not settled within one layer (end conditions). A layer's state equations determine
its stages and its end; then its controls are extremised out together with the constraints that they must keep:

    V_k = extr_{u, μ}  ½ δ²L_k + V_{k+1}(x_{k+1}, p, ν) + μᵀ(C x + D u).

The gain at t_k is that of the rest of the way: u, and with it ν and a free horizon, answer to δx(t_k), S_k its
curvature. The KKT matrix has as many positive eigenvalues as there are variables exactly where the second variation is
positive on the admissible variations; of the layers from k on this fails before the last conjugate point.
Sources: Bryson and Ho, "Applied optimal control" (1975), chapter 6; Breakwell, Speyer and Bryson, SIAM J. Control 1
(1963); Rao, Wright and Rawlings, J. Optim. Theory Appl. 99 (1998), section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ocdl.depth.control_shapes import PerStage, PiecewiseLinear
from ocdl.nlp.neighbourhood.linearised import Linearised
from ocdl.nlp.neighbourhood.quadratic import Quadratic

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


GONE = 1e-9  # of a deviation
UNMET = 1e-6  # of a constraint's derivatives: those that no control is left to follow


@dataclass(frozen=True, eq=False)
class Swept:
    """Gains K (Q, m, S·n), each with respect to the state at its control's own depth; S (N+1, S·n, S·n), infinite where
    the end conditions cannot be met from every neighbouring state; ``tails`` (N,): whether the second variation of the
    layers from k on is positive; ``missing``, ``excess``: positive eigenvalues that the whole lacks, negative ones that
    it has beside those of constraints.
    """

    gains: Array
    riccati: Array
    tails: NDArray[np.bool_]
    missing: int
    excess: int


class SecondVariation:
    """The sweep over the layers of a linearised answer."""

    def __init__(self, linearised: Linearised) -> None:
        self.linearised, self.transcription = linearised, linearised.transcription
        places, depth = self.transcription.places, self.transcription.depth
        self.W, self.R = linearised.w.size, linearised.values.size
        self.N, self.S, self.n = len(places.x) - 1, *places.x.shape[1:]
        self.shared = isinstance(depth.controls, PiecewiseLinear)
        self.x = places.x.reshape(self.N + 1, -1)
        self.each = 1 if self.shared else len(places.u) // self.N
        self.u = places.u.reshape(len(places.u) // self.each, -1)  # (N, each·m), at the nodes where shared
        self.stages = np.concatenate([places.stages.reshape(self.N, -1), places.z.reshape(self.N, -1)], axis=1)
        held = linearised.active.held
        self.dropped = np.concatenate([places.u[held[places.u]], places.p[held[places.p]]])
        self.free_p = np.setdiff1d(places.p, self.dropped)
        horizon = self.transcription.problem.has_free_horizon
        self.horizon = np.intersect1d(places.p[-1:] if horizon else places.p[:0], self.free_p)
        self.rows_held = np.concatenate([self.x[1:].ravel(), places.stages.ravel()])
        self.rows_held = self.rows_held[held[self.rows_held]]

    def swept(self) -> Swept:
        """All layers, from the last to the first."""
        N, width = self.N, self.x.shape[1]
        gains, riccati = np.zeros((*self.u.shape, width)), np.zeros((N + 1, width, width))
        tails = np.ones(N, dtype=bool)
        value = self._assembled(N, Quadratic(self.x[N], np.zeros((width, width))))
        riccati[N] = self._end_curvature(value)
        if self.shared:
            value = value.with_unknowns(self._free(self.u[N]))
        for k in reversed(range(N)):
            layer, known, response = self._assembled(k, value).solved(self._determined(k))
            if self.shared:
                layer = layer.without(np.concatenate([self._free(self.u[k + 1]), self._own_rows(k)]))
            chosen = layer.among(np.setdiff1d(layer.names, np.concatenate([self._other_p, self._copies])))
            riccati[k], reaction, tails[k] = self._answer(chosen, k)
            gains[k] = self._gains(k, reaction, known, response)
            value = layer if self.shared else layer.without(np.concatenate([self._free(self.u[k]), self._own_rows(k)]))
            if self.shared and k == N - 1:
                gains[N] = gains[k]
        missing, excess = self._whole(value)
        gains = _kept_to_the_end(gains, np.asarray(np.isfinite(riccati[:N]).all(axis=(1, 2))))
        gains = gains.reshape(len(self.transcription.places.u), self.transcription.problem.m, width)
        return Swept(gains, riccati, tails, missing, excess)

    # -- one layer --------------------------------------------------------------------------------------------

    def _answer(self, form: Quadratic, k: int) -> tuple[Array, dict[int, Array], bool]:
        """S_k, the response of every unknown to x_k, and whether the rest of the way has a minimum."""
        x, free = self.x[k], np.setdiff1d(form.names, self.x[k])
        found, across = form.spectrum(free), form.block(free, x)
        response = -found.solve(across)
        curvature = form.block(x, x) + across.T @ response
        unmet = np.any(np.abs(found.null.T @ across) > UNMET * (np.abs(found.null.T) @ np.abs(across)))
        known = dict(zip(free.tolist(), response, strict=True)) | dict(zip(x.tolist(), np.eye(x.size), strict=True))
        positive = form.positive + found.positive
        return np.where(unmet, np.inf, curvature), known, positive >= self._variables_from(k)

    def _variables_from(self, k: int) -> int:
        """How many variables the layers from k on have, with the horizon."""
        determined = (self.N - k) * (self.x.shape[1] + self.stages.shape[1])
        return determined + self._free(self.u[k:]).size + self.horizon.size

    def _gains(self, k: int, reaction: dict[int, Array], known: Indices, response: Array) -> Array:
        """−∂u/∂x at the depths of the controls of layer (or node) k, (each·m, S·n)."""
        width = self.x.shape[1]
        u = np.array([reaction.get(name, np.zeros(width)) for name in self.u[k].tolist()]).reshape(-1, width)
        if self.shared:
            return -u
        rest = np.array([reaction.get(name, np.zeros(width)) for name in known.tolist()])
        state = dict(zip(self._determined(k).tolist(), response @ rest, strict=True)) | reaction
        if not isinstance(self.transcription.depth.controls, PerStage):
            middle = 0.5 * (np.eye(width) + np.array([state[name] for name in self.x[k + 1].tolist()]))
            return -u @ _inverse(middle)
        at_stages = [np.array([state[name] for name in names.ravel().tolist()]) for names in self._stage_names(k)]
        parts = zip(np.split(u, self.each), at_stages, strict=True)
        return np.concatenate([-part @ _inverse(at) for part, at in parts])

    def _stage_names(self, k: int) -> list[Indices]:
        """The unknowns that are the states at every stage of layer k; the nearer node's where a stage has none."""
        transcription, names = self.transcription, []
        for i, c in enumerate(transcription.tableau.c.tolist()):
            if i in transcription.own:
                names.append(transcription.places.stages[k, :, transcription.own.index(i)])
            else:
                names.append(transcription.places.x[k if i in transcription.at_start or c < 0.5 else k + 1])
        return names

    def _free(self, names: Indices) -> Indices:
        return np.setdiff1d(names, self.dropped)

    def _determined(self, k: int) -> Indices:
        """What the state equations of layer k determine, with their multipliers."""
        rows = self.linearised.pieces[0].kind.rows[: self._equations, k * self.S : (k + 1) * self.S]
        return np.concatenate([self.x[k + 1], self.stages[k], self.W + rows.ravel()])

    @property
    def _equations(self) -> int:
        """State equations and lifts of a layer of one sample, which come before its path."""
        return (self.x.shape[1] + self.stages.shape[1]) // self.S

    # -- assembly ---------------------------------------------------------------------------------------------

    @cached_property
    def _layers(self) -> list[list[tuple[int, int]]]:
        """The elements (kind, number) of every layer, and at last those of the end and of parameters alone."""
        level = np.full(self.W, -1)
        level[self.x] = 2 * np.arange(self.N + 1)[:, None]
        for block in (self.u, self.stages):
            level[block] = (2 * np.arange(len(block)) + (not self.shared or block is self.stages))[:, None]
        layers: list[list[tuple[int, int]]] = [[] for _ in range(self.N + 1)]
        for i, piece in enumerate(self.linearised.pieces):
            at = level[piece.kind.variables]
            last, first = at.max(axis=0), np.where(at < 0, 2 * self.N, at).min(axis=0)
            for e in range(piece.kind.count):
                layers[self.N if last[e] - first[e] > 2 else first[e] // 2].append((i, e))
        return layers

    def _copy(self, names: Indices) -> Indices:
        """Names of the initial states where they meet the end in one formula."""
        return 2 * self.W + self.R + names

    @cached_property
    def _copies(self) -> Indices:
        kinds = [self.linearised.pieces[i].kind.variables[:, e] for i, e in self._layers[self.N]]
        met = np.intersect1d(np.concatenate([*kinds, np.zeros(0, np.int64)]), self.x[0])
        return self._copy(met)

    @cached_property
    def _other_p(self) -> Indices:
        return np.setdiff1d(self.free_p, self.horizon)

    def _own_rows(self, k: int) -> Indices:
        """Multipliers of what constrains layer k beyond its equations: path, held states, free initial states."""
        names = [np.setdiff1d(self._active_rows(i, e), self._determined(k)) for i, e in self._layers[k]]
        return np.concatenate([*names, self._held_rows(k)])

    def _active_rows(self, i: int, e: int) -> Indices:
        rows = self.linearised.pieces[i].kind.rows[:, e]
        return np.asarray(self.W + rows[self.linearised.active.rows[rows]])

    def _held_rows(self, k: int) -> Indices:
        """Of states at the end and the stages of layer k that are held; those at T where k = N."""
        at = (
            self.x[self.N] if k == self.N else np.concatenate([self.stages[k], self.x[k + 1] if k < self.N - 1 else []])
        )
        return np.asarray(self.W + self.R + np.intersect1d(at, self.rows_held), dtype=np.int64)

    def _assembled(self, k: int, value: Quadratic) -> Quadratic:
        """``value`` of the layers behind, and all that belongs to layer k."""
        blocks = [self._block(i, e, k) for i, e in self._layers[k]]
        held = self._held_rows(k)
        names = [names for names, _ in blocks] + [held, self.free_p]
        if k < self.N:
            names += [self.x[k], self._free(self.u[k]), self._determined(k)]
        whole = value.with_unknowns(np.concatenate(names).astype(np.int64))
        for names_, block in blocks:
            whole.add(names_, block)
        for name in held.tolist():
            pair = np.array([name - self.W - self.R, name])
            whole.add(pair, np.array([[0.0, 1.0], [1.0, 0.0]]))
        return whole

    def _block(self, i: int, e: int, k: int) -> tuple[Indices, Array]:
        """[H Jᵀ; J 0] of one element, without variables that are held and rows that are not active."""
        piece, H = self.linearised.pieces[i], self.linearised.hessians[i][e]
        variables, rows = piece.kind.variables[:, e], piece.kind.rows[:, e]
        free, active = ~np.isin(variables, self.dropped), self.linearised.active.rows[rows]
        J = piece.jacobian[e][np.ix_(active, free)]
        named = variables[free]
        if k == self.N:
            named = np.where(np.isin(named, self.x[0]), self._copy(named), named)
        block = np.block([[H[np.ix_(free, free)], J.T], [J, np.zeros((len(J), len(J)))]])
        return np.concatenate([named, self.W + rows[active]]), block

    # -- the ends ---------------------------------------------------------------------------------------------

    def _end_curvature(self, value: Quadratic) -> Array:
        """S at T; infinite where something is prescribed there."""
        x = self.x[self.N]
        multipliers = np.setdiff1d(value.names, np.concatenate([x, self.free_p, self._copies]))
        bound = np.max(np.abs(value.block(multipliers, x)), initial=0.0) > 0.0
        return np.where(bound, np.inf, value.block(x, x))

    def _whole(self, value: Quadratic) -> tuple[int, int]:
        """Positive eigenvalues missing, and negative ones too many, of the KKT matrix."""
        held, begin = self.linearised.active.held, self._joined(value)
        names = np.setdiff1d(begin.names, self.x[0][held[self.x[0]]])
        found = begin.spectrum(names)
        kept = np.sum(~held) + self.rows_held.size
        constraints = np.sum(self.linearised.active.rows) + self.rows_held.size
        missing = int(kept - begin.positive - found.positive)
        return missing, max(0, int(begin.negative + found.negative - constraints))

    def _joined(self, value: Quadratic) -> Quadratic:
        """The form where the copies are the initial states themselves."""
        names = np.setdiff1d(value.names, self._copies)
        onto = np.zeros((value.names.size, names.size))
        left = Quadratic(names, np.zeros((names.size, names.size)), value.positive, value.negative)
        own = np.where(np.isin(value.names, self._copies), value.names - 2 * self.W - self.R, value.names)
        onto[np.arange(value.names.size), left.place(own)] = 1.0
        left.M[:] = onto.T @ value.M @ onto
        return left


def _kept_to_the_end(gains: Array, met: NDArray[np.bool_]) -> Array:
    """The gains, where the ends cannot be ``met`` (N,) any more those of the last layer that could."""
    met = np.append(met, met[-1])[: len(gains)]  # a last row for the controls at T, where they live at nodes
    return np.asarray(gains[np.maximum.accumulate(np.where(met, np.arange(met.size), 0))])


def _inverse(moved: Array) -> Array:
    """The inverse of how a later state answers to the state at a node, 0 for what has died out by then."""
    left, sizes, right = np.linalg.svd(moved)
    return np.asarray(right.T @ np.diag(np.divide(1.0, sizes, out=np.zeros_like(sizes), where=sizes > GONE)) @ left.T)
