"""One training step of a small network, as one writes it in PyTorch; ours goes through the public trainer.

training_flow_matching  velocity of straight paths between independent pairs, network (t, x) → ℝᵈ
training_mmd            a map trained on the squared MMD with three Gaussian kernels, unbiased
training_gan            relativistic GAN with R1 and R2 (γ = 0.1), one step of the critic and one of the map

All networks are perceptrons of 3×64 in single precision, trained by Adam on batches of n from 10,000 points in memory.
The time is that of one step. The value is the number of parameters, by which one sees that the networks are the same.
"""

import json
import statistics
import time

from common import ARGUMENTS, Baseline, memory, np, torch, unknown

module = torch()
n, d, task, peer = ARGUMENTS.n, ARGUMENTS.d, ARGUMENTS.task, ARGUMENTS.peer
module.manual_seed(0)
if peer not in ("torch_eager", "torch_fused", "torch_compile"):
    unknown()
data = module.from_numpy(np.random.default_rng(1).standard_normal((10_000, d)).astype(np.float32))
nn, functional = module.nn, module.nn.functional


def perceptron(before, after, activation):
    layers, widths = [], [before, 64, 64, 64]
    for a, b in zip(widths, widths[1:]):
        layers += [nn.Linear(a, b), activation]
    return nn.Sequential(*layers, nn.Linear(64, after))


def adam(network, **others):
    # What PyTorch does by itself, or the kernel that updates all parameters in one call.
    return module.optim.Adam(network.parameters(), lr=1e-3, fused=peer != "torch_eager", **others)


def batch():
    return data[module.randint(len(data), (n,))]


def compiled(function):
    return module.compile(function) if peer == "torch_compile" else function


def flow_matching():
    network = perceptron(d + 1, d, nn.SiLU())
    optimiser = adam(network)

    def loss(x1, x0, t):
        x = t * x1 + (1 - t) * x0
        return ((network(module.cat([x, t], 1)) - (x1 - x0)) ** 2).sum(1).mean()

    loss = compiled(loss)

    def step():
        optimiser.zero_grad()
        value = loss(batch(), module.randn(n, d), module.rand(n, 1))
        value.backward()
        optimiser.step()
        return value.item()

    return step, [network]


def mmd():
    network = perceptron(d, d, nn.SiLU())
    optimiser = adam(network)
    median = float(module.pdist(data[:2000]).median())
    scales = [-1 / (2 * (factor * median) ** 2) for factor in (1.0, 0.3, 0.1)]

    def kernel(a, b):
        square = (a * a).sum(1)[:, None] + (b * b).sum(1)[None] - 2 * a @ b.T
        square = square.clamp(min=0)
        return sum(module.exp(scale * square) for scale in scales).sum() / len(scales)

    def loss(z, y):
        x = network(z)
        within = (kernel(x, x) - n) / (n * (n - 1)) + (kernel(y, y) - n) / (n * (n - 1))
        return within - 2 * kernel(x, y) / n**2

    loss = compiled(loss)

    def step():
        optimiser.zero_grad()
        value = loss(module.randn(n, d), batch())
        value.backward()
        optimiser.step()
        return value.item()

    return step, [network]


def gan():
    network, critic = perceptron(d, d, nn.SiLU()), perceptron(d, 1, nn.LeakyReLU(0.2))
    optimiser, other = adam(network, betas=(0.0, 0.99)), adam(critic, betas=(0.0, 0.99))

    def penalised(x):
        x = x.detach().requires_grad_(True)
        value = critic(x)
        (slope,) = module.autograd.grad(value.sum(), [x], create_graph=True)
        return value, 0.05 * (slope**2).sum(1).mean()

    def critic_loss(y, x):
        (real, r1), (fake, r2) = penalised(y), penalised(x)
        return functional.softplus(fake - real).mean() + r1 + r2

    def map_loss(z, y):
        return functional.softplus(critic(y) - critic(network(z))).mean()

    # Compiled code cannot be differentiated twice, so that the critic's loss stays as it is.
    map_loss = compiled(map_loss)

    def step():
        with module.no_grad():
            x = network(module.randn(n, d))
        other.zero_grad()
        value = critic_loss(batch(), x)
        value.backward()
        other.step()
        optimiser.zero_grad()
        value = map_loss(module.randn(n, d), batch())
        value.backward()
        optimiser.step()
        return value.item()

    return step, [network, critic]


step, networks = {"training_flow_matching": flow_matching, "training_mmd": mmd, "training_gan": gan}[task]()
baseline = Baseline()
for _ in range(10):
    step()
start = time.perf_counter()
for _ in range(10):
    step()
# Blocks of a twentieth of the budget each, so that the clock is read seldom.
count = max(1, int(ARGUMENTS.budget / 20 / ((time.perf_counter() - start) / 10)))
times, spent = [], 0.0
while len(times) < ARGUMENTS.reps or spent < ARGUMENTS.budget:
    start = time.perf_counter()
    for _ in range(count):
        step()
    seconds = time.perf_counter() - start
    times.append(seconds / count)
    spent += seconds
    if spent > 4 * ARGUMENTS.budget:
        break
row = {
    "seconds": statistics.median(times),
    "seconds_min": min(times),
    "repetitions": len(times) * count,
    "mb": round(max(memory("VmHWM") - baseline.mb, 0.0), 2),
    "value": float(sum(p.numel() for network in networks for p in network.parameters())),
}
print(json.dumps(row), flush=True)
