"""Reference values of optimal transport from POT and SciPy, for tests/golden_transport.rs.

    python -m venv venv && venv/bin/pip install pot==0.9.7.post1 scipy==1.17.1 numpy==2.4.6
    venv/bin/python transport.py > transport.json
"""
import json
import warnings

import numpy as np
import ot
import scipy
import scipy.optimize
import scipy.stats

warnings.simplefilter("error")
rng = np.random.default_rng(20240611)


def weights(n):
    w = rng.random(n) + 0.1
    return w / w.sum()


def pack(x, a, y, b, **rest):
    return dict(x=np.asarray(x).tolist(), a=a.tolist(), y=np.asarray(y).tolist(), b=b.tolist(), **rest)


out = dict(versions=dict(pot=ot.__version__, scipy=scipy.__version__, numpy=np.__version__))

# The line: scipy for W_1, POT for W_p^p.
out["line"] = []
for n, m in ((7, 7), (9, 12)):
    x, y, a, b = rng.standard_normal(n), 1.5 * rng.standard_normal(m) + 0.5, weights(n), weights(m)
    w1 = scipy.stats.wasserstein_distance(x, y, a, b)
    powers = {str(p): float(ot.wasserstein_1d(x, y, a, b, p=p)) for p in (1, 2, 3)}
    out["line"].append(pack(x, a, y, b, w1=w1, powers=powers))

# Any dimension: POT's network simplex; for the squared cost also SciPy's linear programme.
out["exact"] = []
for n, m, d in ((8, 8, 2), (10, 14, 3)):
    x, y, a, b = rng.standard_normal((n, d)), rng.standard_normal((m, d)) + 0.4, weights(n), weights(m)
    values = {}
    for name, metric in (("squared", "sqeuclidean"), ("euclidean", "euclidean"), ("taxi", "cityblock"), ("largest", "chebyshev")):
        values[name] = float(ot.emd2(a, b, ot.dist(x, y, metric=metric)))
    cost = ot.dist(x, y)
    rows = np.kron(np.eye(n), np.ones((1, m)))
    columns = np.kron(np.ones((1, n)), np.eye(m))
    lp = scipy.optimize.linprog(cost.ravel(), A_eq=np.vstack([rows, columns]), b_eq=np.r_[a, b], method="highs")
    out["exact"].append(pack(x, a, y, b, linprog=float(lp.fun), **values))

# Entropic, log domain, to 1e-13: POT's regularised problem is <P, C> + eps sum P (log P - 1), so report the parts.
out["entropic"] = []
for case, scale in ((0, 0.1), (1, 0.01)):
    n, m, d = 8, 11, 2
    x, y, a, b = rng.standard_normal((n, d)), rng.standard_normal((m, d)) + 0.4, weights(n), weights(m)
    cost = ot.dist(x, y)
    eps = scale * float(cost.mean())
    plan = ot.sinkhorn(a, b, cost, eps, method="sinkhorn_log", stopThr=1e-14, numItermax=200000)
    kl = float((plan * np.log(plan / np.outer(a, b))).sum())
    out["entropic"].append(pack(x, a, y, b, eps=eps, linear=float((plan * cost).sum()), kl=kl))

# Unbalanced, KL marginal penalties.
out["unbalanced"] = []
for penalty in (0.3, 5.0):
    n, m, d = 7, 9, 2
    x, y, a, b = rng.standard_normal((n, d)), rng.standard_normal((m, d)) + 0.8, weights(n), weights(m)
    cost = ot.dist(x, y)
    eps = 0.1 * float(cost.mean())
    plan = ot.unbalanced.sinkhorn_unbalanced(
        a, b, cost, eps, penalty, method="sinkhorn_stabilized", reg_type="kl", stopThr=1e-15, numItermax=100000
    )
    out["unbalanced"].append(
        pack(x, a, y, b, eps=eps, penalty=penalty, linear=float((plan * cost).sum()), mass=float(plan.sum()))
    )

# Gaussians.
out["gaussian"] = []
for d in (1, 2, 4):
    def spd():
        l = rng.standard_normal((d, d))
        return l @ l.T + 0.2 * np.eye(d)
    m0, m1, s0, s1 = rng.standard_normal(d), rng.standard_normal(d), spd(), spd()
    distance = float(ot.gaussian.bures_wasserstein_distance(m0, m1, s0, s1))
    a_map, b_map = ot.gaussian.bures_wasserstein_mapping(m0, m1, s0, s1)
    out["gaussian"].append(
        dict(m0=m0.tolist(), m1=m1.tolist(), s0=s0.tolist(), s1=s1.tolist(), distance=distance,
             matrix=np.asarray(a_map).tolist(), offset=np.asarray(b_map).ravel().tolist())
    )

# The circle of length one.
out["circle"] = []
for n, m in ((6, 6), (7, 10)):
    x, y, a, b = rng.random(n), (0.3 * rng.random(m) + 0.6) % 1.0, weights(n), weights(m)
    powers = {str(p): float(ot.wasserstein_circle(x, y, a, b, p=p, eps=1e-12)[0]) for p in (1, 2, 3)}
    out["circle"].append(pack(x, a, y, b, powers=powers))

# Sliced, over given directions; max-sliced over the same.
out["sliced"] = []
for p in (1, 2):
    n, m, d, k = 9, 12, 3, 6
    x, y, a, b = rng.standard_normal((n, d)), rng.standard_normal((m, d)) + 0.4, weights(n), weights(m)
    theta = rng.standard_normal((d, k))
    theta /= np.linalg.norm(theta, axis=0)
    value = float(ot.sliced_wasserstein_distance(x, y, a, b, projections=theta, p=p))
    largest = float(ot.max_sliced_wasserstein_distance(x, y, a, b, projections=theta, p=p))
    out["sliced"].append(pack(x, a, y, b, theta=theta.T.tolist(), p=p, value=value, largest=largest))

print(json.dumps(out, indent=None, separators=(",", ":")))
