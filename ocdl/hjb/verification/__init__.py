"""What a table of V proves: its residual, its kinks, bounds on both sides, and how far its feedback is from optimal.
It knows the feedback, the schemes' reach, bounds and grids.
"""

from ocdl.hjb.verification.kinks import Kinks, kinks
from ocdl.hjb.verification.residual import ResidualField, residual
from ocdl.hjb.verification.sides import two_sided
from ocdl.hjb.verification.theorem import Verification, verified

__all__ = ["Kinks", "ResidualField", "Verification", "kinks", "residual", "two_sided", "verified"]
