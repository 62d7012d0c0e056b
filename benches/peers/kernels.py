"""Kernel discrepancies.

mmd           MMD², unbiased, Gaussian kernel exp(−‖x − y‖²/2h²) with h² = d
mmd_gradient  the same with its gradient in x
energy        2E‖x − y‖ − E‖x − x′‖ − E‖y − y′‖, all pairs (V-statistic)
ksd           squared kernel Stein discrepancy from N(0, I), inverse multiquadric (1 + r²/d)^−½, unbiased
mmd_test      the value of mmd with a p-value by 1000 permutations
"""

from common import ARGUMENTS, Baseline, bench, np, pair, torch, unknown

x, y = pair()
n, d = x.shape
peer, task, h2 = ARGUMENTS.peer, ARGUMENTS.task, float(x.shape[1])
BLOCK = 1000


def squared(u, v):
    matrix = np.matmul(u, v.T)
    matrix *= -2
    matrix += (u * u).sum(1)[:, None]
    matrix += (v * v).sum(1)[None]
    np.maximum(matrix, 0, out=matrix)
    return matrix


def blocks(symmetric=False):
    """Pairs of blocks with how often each counts; of a symmetric sum one triangle."""
    for i in range(0, n, BLOCK):
        for j in range(i if symmetric else 0, n, BLOCK):
            yield slice(i, i + BLOCK), slice(j, j + BLOCK), 2 if symmetric and j > i else 1


def gaussian_block(module, u, v):
    matrix = module.addmm((v * v).sum(1)[None].expand(len(u), -1), u, v.T, alpha=-2)
    matrix += (u * u).sum(1)[:, None]
    return matrix.clamp_(min=0).mul_(-1 / (2 * h2)).exp_()


def mmd():
    if peer == "torch_blocked":
        module = torch()
        u, v = module.from_numpy(x), module.from_numpy(y)

        def total(a, b, symmetric):
            return sum(
                often * float(gaussian_block(module, a[i], b[j]).sum(dtype=module.float64))
                for i, j, often in blocks(symmetric)
            )

        def value():
            with module.no_grad():
                own = total(u, u, True) + total(v, v, True) - 2 * n
                return own / (n * (n - 1)) - 2 * total(u, v, False) / n**2

        bench(value)
    elif peer == "numpy_blocked":

        def total(a, b, symmetric):
            often_sum = 0.0
            for i, j, often in blocks(symmetric):
                matrix = squared(a[i], b[j])
                matrix *= -1 / (2 * h2)
                np.exp(matrix, out=matrix)
                often_sum += often * matrix.sum(dtype=np.float64)
            return often_sum

        bench(
            lambda: (total(x, x, True) + total(y, y, True) - 2 * n) / (n * (n - 1)) - 2 * total(x, y, False) / n**2
        )
    elif peer == "sklearn":
        from sklearn.metrics.pairwise import rbf_kernel

        rate = 1 / (2 * h2)
        bench(
            lambda: (
                (rbf_kernel(x, gamma=rate).sum() + rbf_kernel(y, gamma=rate).sum() - 2 * n) / (n * (n - 1))
                - 2 * rbf_kernel(x, y, gamma=rate).sum() / n**2
            )
        )
    elif peer == "keops":
        module = torch()
        from pykeops.torch import LazyTensor

        u, v = module.from_numpy(x), module.from_numpy(y)

        def total(a, b):
            distance = ((LazyTensor(a[:, None]) - LazyTensor(b[None])) ** 2).sum(-1)
            return float((-distance / (2 * h2)).exp().sum(1).double().sum())

        bench(
            lambda: (total(u, u) + total(v, v) - 2 * n) / (n * (n - 1)) - 2 * total(u, v) / n**2, compiles=True
        )
    else:
        unknown()


def mmd_gradient():
    module = torch()
    u, v = module.from_numpy(x), module.from_numpy(y)
    if peer == "torch_autograd":
        u.requires_grad_(True)

        def total(a, b):
            distance = (a * a).sum(1)[:, None] + (b * b).sum(1)[None] - 2 * a @ b.T
            return module.exp(distance.clamp(min=0) * (-1 / (2 * h2))).sum()

        def both():
            value = (total(u, u) - n) / (n * (n - 1)) - 2 * total(u, v) / n**2
            with module.no_grad():
                other = (total(v, v) - n) / (n * (n - 1))
            (gradient,) = module.autograd.grad(value, [u])
            return (value + other).item(), gradient

    elif peer == "torch_blocked":  # the gradient by hand: row i is Σⱼ w k_ij (z_j − x_i)/h²

        def both():
            with module.no_grad():
                gradient, value = module.zeros_like(u), 0.0
                for other, weight, own in ((u, 1 / (n * (n - 1)), True), (v, -2 / n**2, False)):
                    for i, j, _ in blocks():
                        kernel = gaussian_block(module, u[i], other[j])
                        rows = kernel.sum(1)
                        value += weight * rows.sum(dtype=module.float64).item()
                        slope = weight * (2 if own else 1) / h2
                        gradient[i] += slope * (kernel @ other[j] - rows[:, None] * u[i])
                value -= 1 / (n - 1)
                own = sum(
                    often * gaussian_block(module, v[i], v[j]).sum(dtype=module.float64).item()
                    for i, j, often in blocks(True)
                )
                return value + (own - n) / (n * (n - 1)), gradient

    else:
        unknown()
    bench(
        both,
        value=lambda result: result[0],
        extra=lambda result: {"gradient_norm": float(result[1].double().norm())},
    )


def energy():
    if peer == "scipy_line":
        from scipy.stats import energy_distance

        bench(lambda: energy_distance(x[:, 0], y[:, 0]) ** 2)
    elif peer == "dcor":
        import dcor

        bench(lambda: dcor.energy_distance(x, y), compiles=True)
    elif peer == "torch_blocked":
        module = torch()
        u, v = module.from_numpy(x), module.from_numpy(y)

        def mean(a, b, symmetric):
            return (
                sum(
                    often * module.cdist(a[i], b[j]).sum(dtype=module.float64).item()
                    for i, j, often in blocks(symmetric)
                )
                / n**2
            )

        bench(lambda: 2 * mean(u, v, False) - mean(u, u, True) - mean(v, v, True))
    elif peer == "scipy_cdist":
        from scipy.spatial.distance import cdist, pdist

        bench(lambda: 2 * cdist(x, y).mean() - 2 * pdist(x).sum() / n**2 - 2 * pdist(y).sum() / n**2)
    else:
        unknown()


def ksd():
    c2 = float(d)
    if peer == "numpy":

        def value():
            inner = x @ x.T
            square = np.diag(inner)
            r2 = square[:, None] + square[None] - 2 * inner
            u = 1 + r2 / c2
            k = u**-0.5
            k3 = k / u
            stein = inner * k + k3 * ((d - r2) / c2) - 3 * (r2 / c2**2) * (k3 / u)
            return (stein.sum() - np.trace(stein)) / (n * (n - 1))

        bench(value)
    elif peer == "torch_blocked":
        module = torch()
        u = module.from_numpy(x)
        square = (u * u).sum(1)

        def value():
            with module.no_grad():
                total = 0.0
                for i, j, often in blocks(True):
                    inner = u[i] @ u[j].T
                    r2 = square[i][:, None] + square[j][None] - 2 * inner
                    base = 1 + r2 / c2
                    k = base.rsqrt()
                    k3 = k / base
                    stein = inner * k + k3 * ((d - r2) / c2) - (3 / c2**2) * r2 * k3 / base
                    total += often * stein.sum(dtype=module.float64).item()
                total -= float((square + d / c2).sum(dtype=module.float64))
                return total / (n * (n - 1))

        bench(value)
    else:
        unknown()


def mmd_test():
    permutations = 1000
    extra = {"extra": lambda result: {"p_value": float(result[1])}, "value": lambda result: result[0]}
    if peer == "numpy_gemm":  # the kernel once, all permutations in one matrix product

        def test():
            generator = np.random.default_rng(0)
            pooled = np.vstack([x, y])
            kernel = squared(pooled, pooled)
            kernel *= -1 / (2 * h2)
            np.exp(kernel, out=kernel)
            np.fill_diagonal(kernel, 0)
            labels = np.empty((2 * n, permutations + 1), x.dtype)
            labels[:, 0] = np.r_[np.ones(n), np.zeros(n)]
            for r in range(permutations):
                labels[:, r + 1] = generator.permutation(labels[:, 0])
            along, total = kernel @ labels, kernel.sum(1)
            own = (labels * along).sum(0)
            cross = labels.T @ total - own
            other = total.sum() - 2 * cross - own
            values = (own + other) / (n * (n - 1)) - 2 * cross / n**2
            return values[0], (1 + (values[1:] >= values[0]).sum()) / (permutations + 1)

        bench(test, **extra)
    elif peer == "torch_gemm":
        module = torch()
        u, v = module.from_numpy(x), module.from_numpy(y)

        def test():
            pooled = module.cat([u, v])
            kernel = gaussian_block(module, pooled, pooled).fill_diagonal_(0)
            first = module.rand(permutations, 2 * n).argsort(1)[:, :n]
            labels = module.zeros(permutations + 1, 2 * n, dtype=pooled.dtype)
            labels[0, :n] = 1
            labels[1:].scatter_(1, first, 1.0)
            along, total = labels @ kernel, kernel.sum(1)
            own = (labels * along).sum(1)
            cross = labels @ total - own
            other = total.sum() - 2 * cross - own
            values = (own + other) / (n * (n - 1)) - 2 * cross / n**2
            return float(values[0]), (1 + int((values[1:] >= values[0]).sum())) / (permutations + 1)

        bench(test, **extra)
    elif peer == "dcor_energy":  # the energy test, for want of an MMD test there
        import dcor

        bench(
            lambda: dcor.homogeneity.energy_test(x, y, num_resamples=permutations, random_state=0),
            value=lambda result: result.statistic,
            extra=lambda result: {"p_value": float(result.pvalue)},
            compiles=True,
        )
    else:
        unknown()


tasks = {"mmd": mmd, "mmd_gradient": mmd_gradient, "energy": energy, "ksd": ksd, "mmd_test": mmd_test}
# The quadrature of D₂ computes the same value as the direct sum, which is what the peers have.
tasks["mmd_quadrature"] = mmd
tasks["mmd_quadrature_gradient"] = mmd_gradient
tasks[task]()
