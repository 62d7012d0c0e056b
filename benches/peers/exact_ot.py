"""Exact transport, squared Euclidean cost, uniform weights. Every peer is handed the cost matrix: its time is not counted,
its memory is."""

from common import ARGUMENTS, Baseline, bench, np, pair, unknown

x, y = pair()
n = ARGUMENTS.n
baseline = Baseline()


def cost():
    matrix = x @ y.T
    matrix *= -2
    matrix += (x * x).sum(1)[:, None]
    matrix += (y * y).sum(1)[None]
    np.maximum(matrix, 0, out=matrix)
    return matrix


peer = ARGUMENTS.peer
if peer == "pot_emd2":  # network simplex
    import ot

    baseline = Baseline()
    matrix, weights = cost(), np.full(n, 1 / n)
    bench(
        lambda: ot.emd2(weights, weights, matrix, numItermax=10**9, numThreads=ARGUMENTS.threads), baseline=baseline
    )
elif peer == "pot_emd2_lazy":  # costs computed as they are asked for
    import ot

    bench(lambda: ot.lp.emd2_lazy(x, y, numItermax=10**9, return_matrix=False))
elif peer == "scipy_lsa":
    from scipy.optimize import linear_sum_assignment

    baseline = Baseline()
    matrix = cost()

    def assign():
        rows, columns = linear_sum_assignment(matrix)
        return matrix[rows, columns].sum() / n

    bench(assign, baseline=baseline)
elif peer == "lapx_lapjv":
    import lap

    baseline = Baseline()
    matrix = cost()
    bench(lambda: lap.lapjv(matrix, return_cost=True)[0] / n, baseline=baseline)
else:
    unknown()
