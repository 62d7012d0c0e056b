"""What sorting or sines and cosines solve.

w1               W₁ on the line, equal weights
sliced           SW₂² over 128 directions; sliced_gradient with its gradient in x
d2               mean over 256 frequencies of |difference of characteristic functions|²; d2_gradient with its gradient in x
"""

from common import ARGUMENTS, array, bench, np, pair, torch, unknown

x, y = pair()
n, d = x.shape
peer, task = ARGUMENTS.peer, ARGUMENTS.task
GRADIENT = task.endswith("gradient")


def norm_of_gradient(result):
    if result[1] is None:
        return {}
    gradient = result[1] if isinstance(result[1], np.ndarray) else result[1].detach().double().numpy()
    return {"gradient_norm": float(np.linalg.norm(gradient))}


def w1():
    u, v = x[:, 0].copy(), y[:, 0].copy()
    if peer == "numpy_sort":
        bench(lambda: np.abs(np.sort(u) - np.sort(v)).mean())
    elif peer == "scipy":
        from scipy.stats import wasserstein_distance

        bench(lambda: wasserstein_distance(u, v))
    elif peer == "pot_emd2_1d":
        import ot

        bench(lambda: ot.emd2_1d(u, v, metric="euclidean"))
    elif peer == "pot_wasserstein_1d":
        import ot

        bench(lambda: ot.wasserstein_1d(u, v, p=1))
    else:
        unknown()


def sliced():
    directions = np.ascontiguousarray(array(f"directions_d{d}").T)
    if peer == "numpy_sort":
        along = directions.T
        bench(
            lambda: (((np.sort(along @ x.T, 1) - np.sort(along @ y.T, 1)) ** 2).mean(), None),
            value=lambda result: result[0],
        )
        return
    if peer == "pot":
        import ot

        bench(lambda: ot.sliced_wasserstein_distance(x, y, projections=directions) ** 2)
        return
    if peer not in ("torch_sort", "pot_torch"):
        unknown()
    module = torch()
    u, v, along = (module.from_numpy(a) for a in (x, y, directions))
    u.requires_grad_(GRADIENT)

    def loss():
        if peer == "pot_torch":
            import ot

            return ot.sliced_wasserstein_distance(u, v, projections=along) ** 2
        return ((along.T @ u.T).sort(1)[0] - (along.T @ v.T).sort(1)[0]).square().mean()

    def both():
        value = loss()
        gradient = module.autograd.grad(value, [u])[0] if GRADIENT else None
        return value.item(), gradient

    bench(both, value=lambda result: result[0], extra=norm_of_gradient)


def d2():
    frequencies = np.ascontiguousarray(array(f"frequencies_d{d}").T)
    count = frequencies.shape[1]
    if peer == "numpy":

        def both():
            u, v = x @ frequencies, y @ frequencies
            cos, sin = np.cos(u), np.sin(u)
            c, s = cos.mean(0) - np.cos(v).mean(0), sin.mean(0) - np.sin(v).mean(0)
            value = (c * c + s * s).mean()
            return value, (cos * s - sin * c) @ frequencies.T * (2 / (count * n)) if GRADIENT else None

        bench(both, value=lambda result: result[0], extra=norm_of_gradient)
        return
    module = torch()
    u, v, along = (module.from_numpy(a) for a in (x, y, frequencies))
    if peer == "torch":
        u.requires_grad_(GRADIENT)

        def both():
            a, b = u @ along, v @ along
            c, s = a.cos().mean(0) - b.cos().mean(0), a.sin().mean(0) - b.sin().mean(0)
            value = (c**2 + s**2).mean()
            return value.item(), module.autograd.grad(value, [u])[0] if GRADIENT else None

    elif peer == "torch_blocked":
        block = 2000

        def both():
            with module.no_grad():
                c = module.zeros(count, dtype=u.dtype)
                s, kept = c.clone(), []
                for i in range(0, n, block):
                    a, b = u[i : i + block] @ along, v[i : i + block] @ along
                    cos, sin = a.cos(), a.sin()
                    if GRADIENT:
                        kept.append((cos, sin))
                    c += cos.sum(0) - b.cos().sum(0)
                    s += sin.sum(0) - b.sin().sum(0)
                c /= n
                s /= n
                value, gradient = (c * c + s * s).mean().item(), None
                if GRADIENT:
                    gradient = module.empty_like(u)
                    for i, (cos, sin) in zip(range(0, n, block), kept):
                        gradient[i : i + block] = (cos * s - sin * c) @ along.T
                    gradient *= 2 / (count * n)
                return value, gradient

    else:
        unknown()
    bench(both, value=lambda result: result[0], extra=norm_of_gradient)


{"w1": w1, "sliced": sliced, "sliced_gradient": sliced, "d2": d2, "d2_gradient": d2}[task]()
