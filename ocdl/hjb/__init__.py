"""The HJB route: value iteration on a grid of states, its feedback, and proven bounds.
It knows solving and what is below it, no other route.

``planning`` decides before anything is computed: Hamiltonian, scheme, grid, steps, depths kept, memory.
``value_iteration`` marches a *scheme* (``schemes``; ``advance(V, done)`` is one step back in depth) and hands the table
to ``feedback``. ``bounds`` proves lower bounds and reachable boxes without a grid of V.

| problem                                                  | scheme  | files                                 |
|----------------------------------------------------------|---------|---------------------------------------|
| one sample, velocity box, no running cost                | split   | split, grids.sweeps, grids.flows      |
| formulas affine in bounded controls, squares in the cost | upwind  | upwind, flux, hamiltonian, grids.weno |
| anything else, and wherever states are bounded           | general | general, lookahead                    |

*Upwind* asks nothing but tables of H: ``Hamiltonian.at(t, x)`` gives f, g and the sign with which each control is
chosen, so that a game is a sign (Isaacs), and another H another object with that one method. ``flux`` and
``grids.weno`` are formulas written once, which numpy evaluates on arrays and ``compiled`` compiles for one number.
Between the stages V is held below a target and above an obstacle (``held``); circles and the ends of axes are nodes
beyond the grid (``grids.weno.Padded``).

*General* follows the flow of a control held over a step (``lookahead``), reads V off where it ends (``Between``) and
takes the least; the minimum of H, by the structure that its formula has in the controls (``control_structure``),
proposes the controls.

Bounds on states K(t), in the order of the thought:
1. ``schemes.state_bounds``: W, the least that a trajectory must violate K by, obeys a dynamic programming equation of
   its own and is marched beside V; V counts where W ≤ 0, is +∞ elsewhere, continued there only to be interpolated.
2. ``schemes.staying``: where the minimiser of H leads out of W ≤ 0, candidates that just stay: multipliers of W, and
   the nearest admissible control.
3. ``schemes.general`` and ``schemes.lookahead`` search among those alone (``Within``).
4. ``feedback.synthesis`` does the same for a feedback; ``feedback.margins`` tries again with a margin where a rollout,
   which lives between the nodes, leaves K; ``feedback.closed_loop`` does so layer by layer on the user's own scheme.

Queries, rollouts and files read V by ``grids.interpolation``: cubic, or linear for first-order schemes and W.
"""

from ocdl.hjb.bounds.lower_bound import LowerBound, lower_bound
from ocdl.hjb.bounds.reach import reachable_box
from ocdl.hjb.feedback.value_function import Rollout, ValueFunction
from ocdl.hjb.value_iteration import Plan, ValueIteration

__all__ = ["LowerBound", "Plan", "Rollout", "ValueFunction", "ValueIteration", "lower_bound", "reachable_box"]
