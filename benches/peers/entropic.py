"""Entropic transport: cost ‖x − y‖², ε = .05 × mean cost, to an ℓ¹ marginal error of 1e-4 (POT stops at an ℓ² error of
1e-4/√n, which implies it). The value is ⟨plan, cost⟩; `l1` is the marginal error of the plan, both sides added up.

The debiased divergence has another value in every package (halved costs, entropy left out or relative to another measure):
ott's and geomloss's are comparable with ours, POT's is not and is left out.
"""

from common import ARGUMENTS, Baseline, bench, np, pair, torch, unknown

x, y = pair()
n, peer = ARGUMENTS.n, ARGUMENTS.peer
TOLERANCE = 1e-4
wide = [points.astype(float) for points in (x, y)]
mean_cost = sum((points**2).sum(1).mean() for points in wide) - 2 * wide[0].mean(0) @ wide[1].mean(0)
epsilon = 0.05 * float(mean_cost)


def cost():
    matrix = x @ y.T
    matrix *= -2
    matrix += (x * x).sum(1)[:, None]
    matrix += (y * y).sum(1)[None]
    np.maximum(matrix, 0, out=matrix)
    return matrix


def report(f, g):
    """⟨plan, cost⟩ and the marginal error of the plan exp((f + g − c)/ε)/n² of two potentials, in blocks."""
    linear, rows, columns = 0.0, 0.0, np.zeros(n)
    u, v = wide
    for start in range(0, n, 1000):
        block = slice(start, start + 1000)
        costs = (u[block] ** 2).sum(1)[:, None] + (v**2).sum(1)[None] - 2 * u[block] @ v.T
        plan = np.exp((f[block, None] + g[None] - costs) / epsilon) / n**2
        linear += (plan * costs).sum()
        rows += np.abs(plan.sum(1) - 1 / n).sum()
        columns += plan.sum(0)
    return linear, rows + np.abs(columns - 1 / n).sum()


if peer in ("pot_sinkhorn", "pot_sinkhorn_log", "pot_torch_sinkhorn"):
    import ot

    module = torch() if "torch" in peer else None
    baseline = Baseline()
    matrix, weights = cost(), np.full(n, 1 / n, x.dtype)
    if module:
        matrix, weights = module.from_numpy(matrix), module.from_numpy(weights)
    method = "sinkhorn_log" if peer.endswith("log") else "sinkhorn"
    bench(
        lambda: ot.sinkhorn(
            weights,
            weights,
            matrix,
            epsilon,
            method=method,
            stopThr=TOLERANCE / n**0.5,
            numItermax=5000,
            log=True,
            warn=False,
        ),
        value=lambda result: (result[0] * matrix).sum(),
        extra=lambda result: {
            "iterations": int(result[1].get("niter", -1)),
            "l1": float(abs(result[0].sum(1) - 1 / n).sum() + abs(result[0].sum(0) - 1 / n).sum()),
        },
        baseline=baseline,
    )
elif peer.startswith("geomloss"):  # cost ‖x − y‖²/2, so that its ε is half of ours; a fixed sequence of temperatures
    module = torch()
    from geomloss import SamplesLoss

    backend = peer.split("_")[1]
    loss = SamplesLoss(
        "sinkhorn",
        p=2,
        blur=(epsilon / 2) ** 0.5,
        scaling=0.9,
        debias=ARGUMENTS.task != "entropic",
        potentials=ARGUMENTS.task == "entropic",
        backend=backend,
    )
    u, v = module.from_numpy(x), module.from_numpy(y)
    if ARGUMENTS.task == "entropic":

        def potentials():
            with module.no_grad():
                return [2 * p.double().numpy().ravel() for p in loss(u, v)]

        bench(
            potentials,
            value=lambda result: report(*result)[0],
            extra=lambda result: {"l1": report(*result)[1]},
            compiles=True,
        )
    else:
        u.requires_grad_(True)

        def gradient():
            value = loss(u, v)
            (g,) = module.autograd.grad(value, [u])
            return 2 * value.item(), 2 * g

        bench(
            gradient,
            value=lambda result: result[0],
            extra=lambda result: {"gradient_norm": float(result[1].double().norm())},
            compiles=True,
        )
elif peer.startswith("ott"):
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", ARGUMENTS.dtype == "f64")
    from ott.geometry import pointcloud
    from ott.solvers import linear
    from ott.tools import sinkhorn_divergence

    u, v = jnp.asarray(x), jnp.asarray(y)
    limits = {"threshold": TOLERANCE, "max_iterations": 5000}
    if ARGUMENTS.task == "entropic":

        @jax.jit
        def solve(u, v):
            found = linear.solve(pointcloud.PointCloud(u, v, epsilon=epsilon), **limits)
            return found.f, found.g, found.n_iters

        def potentials():
            found = solve(u, v)
            jax.block_until_ready(found)
            return found

        shifted = lambda result: [np.asarray(p, float) + epsilon * np.log(n) for p in result[:2]]  # noqa: E731
        bench(
            potentials,
            value=lambda result: report(*shifted(result))[0],
            extra=lambda result: {"iterations": int(result[2]), "l1": report(*shifted(result))[1]},
            compiles=True,
        )
    else:

        def divergence(u, v):
            return sinkhorn_divergence.sinkdiv(u, v, epsilon=epsilon, solve_kwargs=limits)[0]

        both = jax.jit(jax.value_and_grad(divergence))

        def gradient():
            found = both(u, v)
            jax.block_until_ready(found)
            return found

        bench(
            gradient,
            value=lambda result: result[0],
            extra=lambda result: {"gradient_norm": float(jnp.linalg.norm(result[1]))},
            compiles=True,
        )
else:
    unknown()
