"""The direct route: collocate, transcribe, solve by IPOPT; or by Newton's method on the controls alone.
It knows solving and what is below it, no other route.
"""

from ocdl.nlp.interior import InteriorPoint
from ocdl.nlp.ipopt import Ipopt
from ocdl.nlp.neighbourhood.neighbouring import NeighbouringExtremals, neighbouring
from ocdl.nlp.training.lbfgs import LBFGS

__all__ = ["LBFGS", "InteriorPoint", "Ipopt", "NeighbouringExtremals", "neighbouring"]
