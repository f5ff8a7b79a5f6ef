"""The HJB route: value iteration on a grid of states, its feedback, proven bounds, and what a table of V proves.
It knows solving and what is below it, no other route.
How it works, on one page: README.md beside this file.
"""

from ocdl.analysis.reachability.comparison import reachable_box
from ocdl.hjb.bounds.lower_bound import LowerBound, lower_bound
from ocdl.hjb.feedback.value_function import Rollout, ValueFunction
from ocdl.hjb.value_iteration import Plan, ValueIteration
from ocdl.hjb.verification import Kinks, ResidualField, Verification, kinks, residual, two_sided, verified

__all__ = [
    "Kinks",
    "LowerBound",
    "Plan",
    "ResidualField",
    "Rollout",
    "ValueFunction",
    "ValueIteration",
    "Verification",
    "kinks",
    "lower_bound",
    "reachable_box",
    "residual",
    "two_sided",
    "verified",
]
