"""Problems with noise: the second-order equation as that of a controlled Markov chain on a grid, its feedback and
simulated costs. It knows solving and what is below it, of the hjb floor nothing.
"""
