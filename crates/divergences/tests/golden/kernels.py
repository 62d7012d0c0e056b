"""Golden values of MMD, energy distances and divergences of weights from scikit-learn, dcor and SciPy.

pip install numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1 dcor==0.7; python kernels.py > kernels.txt
"""

import dcor
import numpy as np
import scipy.spatial.distance
import scipy.special
import scipy.stats
from sklearn.metrics.pairwise import laplacian_kernel, polynomial_kernel, rbf_kernel


def cloud(n, d, first, spread):
    """A Weyl sequence, the same bits in every language: coordinate k of point i is spread * frac((i + first) sqrt(p_k))."""
    primes = np.array([2, 3, 5, 7, 11, 13, 17, 19], dtype=float)[:d]
    i = np.arange(first, first + n, dtype=float)[:, None]
    x = i * np.sqrt(primes)[None, :]
    return spread * (x - np.floor(x))


def show(name, value):
    print(name, repr(float(value)))


def mmd(kernel, x, y):
    xx, yy, xy = kernel(x, x), kernel(y, y), kernel(x, y)
    n, m = len(x), len(y)
    plugin = xx.mean() + yy.mean() - 2 * xy.mean()
    off = lambda k, n: (k.sum() - np.trace(k)) / (n * (n - 1))
    return plugin, off(xx, n) + off(yy, m) - 2 * xy.mean()


for d in (1, 2, 5):
    x, y = cloud(40, d, 1, 1.0), cloud(31, d, 5000, 1.3)
    h = 0.4
    kernels = {
        "gaussian": lambda a, b: rbf_kernel(a, b, gamma=1 / (2 * h * h)),
        "laplace": lambda a, b: laplacian_kernel(a, b, gamma=1 / h),
        "polynomial": lambda a, b: polynomial_kernel(a, b, degree=3, gamma=0.5, coef0=1.0),
    }
    for name, kernel in kernels.items():
        plugin, unbiased = mmd(kernel, x, y)
        show(f"mmd_{name}_d{d}_plugin", plugin)
        show(f"mmd_{name}_d{d}_unbiased", unbiased)
    show(f"energy_d{d}_plugin", dcor.energy_distance(x, y))
    for s in (0.5, 1.5):
        show(f"energy_{s}_d{d}_plugin", dcor.energy_distance(x, y, exponent=s))
    if d == 1:
        # SciPy returns the root, and twice the integral is under it.
        show("energy_d1_scipy", scipy.stats.energy_distance(x[:, 0], y[:, 0]) ** 2)

# Weights on five common atoms.
p = np.array([0.1, 0.2, 0.3, 0.25, 0.15])
q = np.array([0.3, 0.05, 0.2, 0.15, 0.3])
show("phi_kl", scipy.special.rel_entr(p, q).sum())
show("phi_reverse_kl", scipy.special.rel_entr(q, p).sum())
show("phi_jensen_shannon", scipy.spatial.distance.jensenshannon(p, q) ** 2)
