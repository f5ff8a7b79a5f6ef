"""Do the direct and the indirect route agree on a textbook problem that is no network?

Van der Pol's oscillator, as in problems/van_der_pol.py, on refined depth grids.
"""

import ocdl


def problem() -> ocdl.ControlProblem:
    return ocdl.ControlProblem(
        states=["x", "y"],
        controls=["u"],
        dynamics=lambda x, u: [(1 - x[1] ** 2) * x[0] - x[1] + u, x[0]],
        initial=[0.0, 1.0],
        horizon=10.0,
        running=lambda x, u: x[0] ** 2 + x[1] ** 2 + u**2,
        bounds=ocdl.Box(u=(-0.75, 1)),
    )


rows = []
for layers in (25, 50, 100, 200):
    direct = ocdl.solve(problem(), ocdl.Radau(layers=layers, degree=3), ocdl.Ipopt())
    indirect = ocdl.solve(problem(), ocdl.Radau(layers=layers, degree=3), ocdl.NeedleSteps())
    apart = float(abs(direct.costate - indirect.costate).max())
    rows.append((layers, direct.cost, indirect.cost, apart, direct.gap))

if __name__ == "__main__":
    print("layers      J by IPOPT        J by needle steps   costates apart   gap")
    for layers, one, other, apart, gap in rows:
        print(f"{layers:6d}   {one:.12f}   {other:.12f}     {apart:.1e}        {gap:.1e}")
