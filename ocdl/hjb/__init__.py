"""The HJB route: value iteration on a grid of states, its feedback, and proven bounds.
It knows solving and what is below it, no other route.
How it works, on one page: README.md beside this file.
"""

from ocdl.hjb.bounds.lower_bound import LowerBound, lower_bound
from ocdl.hjb.bounds.reach import reachable_box
from ocdl.hjb.feedback.value_function import Rollout, ValueFunction
from ocdl.hjb.value_iteration import Plan, ValueIteration

__all__ = ["LowerBound", "Plan", "Rollout", "ValueFunction", "ValueIteration", "lower_bound", "reachable_box"]
