"""Writes the inputs of a task once: x ~ N(0, I), y ~ 1.2 N(0, I) + 0.3, and directions or frequencies where it needs them."""

import os

from common import ARGUMENTS, np


def once(name, make):
    path = os.path.join(ARGUMENTS.inputs, f"{name}.npy")
    if not os.path.exists(path):
        part = f"{path}.part.npy"
        np.save(part, np.ascontiguousarray(make(), np.float64))
        os.replace(part, path)


n, d = ARGUMENTS.n, ARGUMENTS.d
os.makedirs(ARGUMENTS.inputs, exist_ok=True)
generator = np.random.default_rng([20240, n, d])
x = generator.standard_normal((n, d))
once(f"x_n{n}_d{d}", lambda: x)
once(f"y_n{n}_d{d}", lambda: 1.2 * generator.standard_normal((n, d)) + 0.3)


def directions():
    rows = np.random.default_rng(3).standard_normal((d, 128))
    return (rows / np.linalg.norm(rows, axis=0)).T


if ARGUMENTS.task.startswith("sliced"):
    once(f"directions_d{d}", directions)
if ARGUMENTS.task.startswith("d2"):
    once(f"frequencies_d{d}", lambda: (np.random.default_rng(5).standard_normal((d, 256)) / d**0.5).T)
