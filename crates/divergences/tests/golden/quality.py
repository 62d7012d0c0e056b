"""Golden values of the quality measures from their reference implementations.

pip install numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1 prdc==0.2; python quality.py > quality.txt
"""

import contextlib

import numpy as np
import scipy.linalg
import scipy.stats
from prdc import compute_prdc
from sklearn.neighbors import NearestNeighbors


def cloud(n, d, first, spread):
    """A Weyl sequence, the same bits in every language: coordinate k of point i is spread * frac((i + first) sqrt(p_k))."""
    primes = np.array([2, 3, 5, 7, 11, 13, 17, 19], dtype=float)[:d]
    i = np.arange(first, first + n, dtype=float)[:, None]
    x = i * np.sqrt(primes)[None, :]
    return spread * (x - np.floor(x))


def frechet(x, y):
    """As FID does it, with covariances over n."""
    m, v = x.mean(0), np.cov(x, rowvar=False, bias=True)
    m2, v2 = y.mean(0), np.cov(y, rowvar=False, bias=True)
    root = scipy.linalg.sqrtm(v @ v2).real
    return ((m - m2) ** 2).sum() + np.trace(v + v2 - 2 * root)


for d in (2, 5, 8):
    data, generated, held = cloud(300, d, 1, 1.0), cloud(200, d, 5000, 1.2), cloud(250, d, 9000, 1.0)
    for k in (1, 3, 5):
        with contextlib.redirect_stdout(None):
            found = compute_prdc(data, generated, k)
        for name, value in found.items():
            print(f"{name}_d{d}_k{k} {value:.17g}")
    print(f"frechet_d{d} {frechet(generated, data):.17g}")
    near = NearestNeighbors(n_neighbors=1).fit(data)
    ours, fresh = near.kneighbors(generated)[0][:, 0], near.kneighbors(held)[0][:, 0]
    test = scipy.stats.mannwhitneyu(ours, fresh, alternative="less", use_continuity=False, method="asymptotic")
    print(f"copying_u_d{d} {test.statistic / (200 * 250):.17g}")
    print(f"copying_p_d{d} {test.pvalue:.17g}")
