"""Clouds moved along fields, n particles at once.

ode_mixture  the score of eight Gaussians of variance 1 on a ring of radius 4, from t = 0 to 1 in 50 equal steps of Tsitouras'
             pair, or in 75 steps of the classical method: 300 evaluations either way
ode_cheap    a pendulum with friction, x'' = -x - x'^3/10, from t = 0 to 10 by a pair of order 5, tolerances 1e-6
ode_stiff    x' = -r (x - cos t) from t = 0 to 10 by a pair of order 5, tolerances 1e-6, where the rate r is 1000 for every
             hundredth particle and 10 for the others
sde_ou       dX = -X dt + sqrt(2) dB from t = 0 to 1 in 100 steps of Euler and Maruyama

The value is the mean square of where the coordinates come to. `torchdiffeq`, `scipy` and `diffrax` take one step for the whole
cloud, `diffrax_each` one for each particle.
"""

from common import ARGUMENTS, array, bench, np, torch, unknown

n, task, peer = ARGUMENTS.n, ARGUMENTS.task, ARGUMENTS.peer
x = array(f"x_n{n}_d{ARGUMENTS.d}")
angles = 2 * np.pi * np.arange(8) / 8
means = (4 * np.stack([np.cos(angles), np.sin(angles)], 1)).astype(x.dtype)
SPAN = {"ode_mixture": 1.0, "ode_cheap": 10.0, "ode_stiff": 10.0, "sde_ou": 1.0}[task]
TOLERANCE = 1e-6

if task == "ode_stiff":
    rates = np.where(np.arange(n) % 100 == 0, 1000.0, 10.0).astype(x.dtype)


def mean_square(end):
    return (np.asarray(end, np.float64) ** 2).mean()


def torch_field(module):
    m = module.from_numpy(means)
    if task == "ode_stiff":
        r = module.from_numpy(rates)[:, None]

    def field(t, y):
        if task == "ode_mixture":
            logits = (y @ m.T) - 8.0 - 0.5 * (y * y).sum(1, keepdim=True)
            return module.softmax(logits, 1) @ m - y
        if task == "ode_cheap":
            p, q = y[:, 0], y[:, 1]
            return module.stack([q, -p - 0.1 * q * q * q], 1)
        return -r * (y - module.cos(module.as_tensor(t)))

    return field


def jax_field():
    import jax.numpy as jnp

    m = jnp.asarray(means)

    def field(t, y, rate):
        """Of one particle, or of all in rows."""
        if task == "ode_mixture":
            logits = y @ m.T - 8.0 - 0.5 * (y * y).sum(-1, keepdims=True)
            weights = jnp.exp(logits - logits.max(-1, keepdims=True))
            return weights @ m / weights.sum(-1, keepdims=True) - y
        if task == "ode_cheap":
            p, q = y[..., 0], y[..., 1]
            return jnp.stack([q, -p - 0.1 * q * q * q], -1)
        if task == "ode_stiff":
            return -rate * (y - jnp.cos(t))
        return -y

    return field


def torch_whole():
    """Tsitouras' pair by whole-array passes, every stage a tensor."""
    module = torch()
    field, h, steps = torch_field(module), 0.02, 50
    a = (
        (0.161,),
        (-0.008480655492356989, 0.335480655492357),
        (2.8971530571054935, -6.359448489975075, 4.3622954328695815),
        (5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525),
        (5.86145544294642, -12.92096931784711, 8.159367898576159, -0.071584973281401, -0.028269050394068383),
        (0.09646076681806523, 0.01, 0.4798896504144996, 1.379008574103742, -3.290069515436081, 2.324710524099774),
    )

    def call():
        with module.no_grad():
            y = module.from_numpy(x)
            first = field(0.0, y)
            for _ in range(steps):
                k = [first]
                for row in a:
                    point = y
                    for weight, slope in zip(row, k):
                        if weight:
                            point = point.add(slope, alpha=h * weight)
                    k.append(field(0.0, point))
                y, first = point, k[-1]
            return y

    bench(call, value=mean_square)


def torchdiffeq():
    module = torch()
    from torchdiffeq import odeint

    field, times = torch_field(module), module.tensor([0.0, SPAN], dtype=module.from_numpy(x).dtype)
    options = (
        {"method": "rk4", "options": {"step_size": 1 / 75}}
        if task == "ode_mixture"
        else {"method": "dopri5", "rtol": TOLERANCE, "atol": TOLERANCE}
    )

    def call():
        with module.no_grad():
            return odeint(field, module.from_numpy(x), times, **options)[1]

    bench(call, value=mean_square)


def scipy():
    from scipy.integrate import solve_ivp

    def field(t, y):
        if task == "ode_cheap":
            p, q = y.reshape(2, -1)
            return np.concatenate([q, -p - 0.1 * q * q * q])
        return -rates * (y - np.cos(t))

    start = np.ascontiguousarray(x.T).reshape(-1)

    def call():
        run = solve_ivp(field, (0.0, SPAN), start, method="RK45", rtol=TOLERANCE, atol=TOLERANCE, t_eval=[SPAN])
        return run.y[:, -1]

    bench(call, value=mean_square)


def diffrax(each):
    import jax

    jax.config.update("jax_enable_x64", ARGUMENTS.dtype == "f64")
    import diffrax as dfx
    import jax.numpy as jnp

    term = dfx.ODETerm(jax_field())
    fixed = task == "ode_mixture"
    solver = dfx.Tsit5() if fixed else dfx.Dopri5()
    controller = dfx.ConstantStepSize() if fixed else dfx.PIDController(rtol=TOLERANCE, atol=TOLERANCE)

    def solve(start, rate):
        run = dfx.diffeqsolve(
            term,
            solver,
            0.0,
            SPAN,
            SPAN / 50 if fixed else None,
            start,
            args=rate,
            stepsize_controller=controller,
            max_steps=100_000,
            adjoint=dfx.ForwardMode(),
        )
        return run.ys[0]

    start = jnp.asarray(x)
    rate = jnp.asarray(rates)[:, None] if task == "ode_stiff" else jnp.zeros((n, 1), x.dtype)
    run = jax.jit(jax.vmap(solve) if each else solve)
    bench(lambda: run(start, rate).block_until_ready(), value=mean_square, compiles=True)


def torchsde():
    module = torch()
    import torchsde

    class Ou:
        noise_type, sde_type = "diagonal", "ito"

        def f(self, t, y):
            return -y

        def g(self, t, y):
            return module.full_like(y, 2**0.5)

    times = module.tensor([0.0, SPAN], dtype=module.float64)

    def call():
        with module.no_grad():
            return torchsde.sdeint(Ou(), module.from_numpy(x), times, method="euler", dt=0.01)[1]

    bench(call, value=mean_square)


def diffrax_sde():
    import jax

    jax.config.update("jax_enable_x64", ARGUMENTS.dtype == "f64")
    import diffrax as dfx
    import jax.numpy as jnp

    def solve(start, key):
        like = jax.ShapeDtypeStruct(start.shape, start.dtype)
        noise = dfx.UnsafeBrownianPath(like, key)
        level = dfx.ControlTerm(lambda t, y, args: lineax.DiagonalLinearOperator(jnp.full(y.shape, 2**0.5, y.dtype)), noise)
        terms = dfx.MultiTerm(dfx.ODETerm(lambda t, y, args: -y), level)
        run = dfx.diffeqsolve(
            terms, dfx.Euler(), 0.0, SPAN, SPAN / 100, start, max_steps=200, adjoint=dfx.ForwardMode()
        )
        return run.ys[0]

    import lineax

    run, start, key = jax.jit(solve), jnp.asarray(x[:, 0]), jax.random.PRNGKey(1)
    bench(lambda: run(start, key).block_until_ready(), value=mean_square, compiles=True)


if task == "sde_ou":
    {"torchsde": torchsde, "diffrax": diffrax_sde}.get(peer, unknown)()
elif peer.startswith("diffrax"):
    diffrax(peer == "diffrax_each")
else:
    {"torch_whole": torch_whole, "torchdiffeq": torchdiffeq, "scipy": scipy}.get(peer, unknown)()
