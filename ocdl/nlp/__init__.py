"""The direct route: collocate, transcribe, solve by IPOPT; or by Newton's method on the controls alone.
It knows solving and what is below it, no other route.
"""

from ocdl.nlp.interior import InteriorPoint
from ocdl.nlp.ipopt import Ipopt
from ocdl.nlp.neighbourhood.neighbouring import NeighbouringExtremals, neighbouring
from ocdl.nlp.training.adversarial import AdversarialTraining
from ocdl.nlp.training.lbfgs import LBFGS
from ocdl.nlp.training.levenberg import LevenbergMarquardt
from ocdl.nlp.training.newton import NewtonCG
from ocdl.nlp.training.responses import SaddlePoint, saddle
from ocdl.nlp.training.train import Train

__all__ = [
    "LBFGS",
    "AdversarialTraining",
    "InteriorPoint",
    "Ipopt",
    "LevenbergMarquardt",
    "NeighbouringExtremals",
    "NewtonCG",
    "SaddlePoint",
    "Train",
    "neighbouring",
    "saddle",
]
