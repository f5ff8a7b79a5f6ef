"""Many solves: multi-start and sweeps over processes, clusters and crashes. ``task`` states them, ``worker`` does one,
``archive`` keeps them, ``pools`` and ``conductor`` see to it that each is done, once; ``outcome`` is what they found.
It knows the comparison and what is below it.
"""

from ocdl.campaign.many import solve_many
from ocdl.campaign.outcome import Campaign
from ocdl.campaign.task import Task, multi_start, parameter_sweep

__all__ = ["Campaign", "Task", "multi_start", "parameter_sweep", "solve_many"]
