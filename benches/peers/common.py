"""What every script here shares: arguments, inputs, and the measurement of one call.

A script is run as  python SCRIPT.py --task T --peer P --n N --d D --dtype f64 --threads 2 --budget S --reps R --inputs DIR
in a process of its own, and prints one line of JSON: seconds (the median), seconds_min, repetitions, mb, value, and
whatever else it wants to have recorded. The program `peers` of the package `benches` takes and prints the same.
"""

import argparse
import json
import os
import statistics
import sys
import time


def parse():
    parser = argparse.ArgumentParser()
    for name, kind, default in (
        ("task", str, None),
        ("peer", str, None),
        ("n", int, None),
        ("d", int, None),
        ("dtype", str, "f64"),
        ("threads", int, 2),
        ("budget", float, 2.0),
        ("reps", int, 7),
        ("inputs", str, None),
    ):
        parser.add_argument(f"--{name}", type=kind, default=default)
    return parser.parse_args()


ARGUMENTS = parse()

# Before NumPy and its like are imported: they read these once.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_name] = str(ARGUMENTS.threads)
os.environ["JAX_PLATFORMS"] = "cpu"
# POT imports every array library it finds, which takes seconds.
for _name in ("JAX", "CUPY", "TENSORFLOW") + (() if "torch" in (ARGUMENTS.peer or "") else ("PYTORCH",)):
    os.environ[f"POT_BACKEND_DISABLE_{_name}"] = "1"
if ARGUMENTS.threads == 1:
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

# Some of PyTorch's CUDA libraries stand empty (without_cuda.py): symbols must be bound when called, not when loaded.
if hasattr(os, "RTLD_LAZY"):
    sys.setdlopenflags(os.RTLD_LAZY)

import numpy as np  # noqa: E402


def number_type():
    return {"f64": np.float64, "f32": np.float32}[ARGUMENTS.dtype]


def array(name):
    """An input by name, one point a row, in the precision asked for."""
    return np.ascontiguousarray(np.load(os.path.join(ARGUMENTS.inputs, f"{name}.npy")), number_type())


def pair():
    """The two samples x and y, each n×d."""
    return tuple(array(f"{name}_n{ARGUMENTS.n}_d{ARGUMENTS.d}") for name in "xy")


def torch():
    """PyTorch with its threads set."""
    import torch as module

    module.set_num_threads(ARGUMENTS.threads)
    return module


def memory(key):
    """A line of /proc/self/status in MB (2^20 bytes)."""
    with open("/proc/self/status") as lines:
        for line in lines:
            if line.startswith(key + ":"):
                return int(line.split()[1]) / 1024
    return float("nan")


class Baseline:
    """Memory before the work, inputs and imports included; what a peer needs on top, such as a cost matrix, counts."""

    def __init__(self):
        self.mb = memory("VmRSS")
        try:
            with open("/proc/self/clear_refs", "w") as file:
                file.write("5")  # resets the peak
        except OSError:
            pass


def bench(call, value=lambda result: result, extra=lambda result: {}, baseline=None, compiles=False):
    """Times `call`: once to warm up, then until the budget or the repetitions are spent.

    The first call counts when it alone exceeds the budget, unless the peer compiles in it: then there is one more.
    """
    baseline = baseline or Baseline()
    start = time.perf_counter()
    result = call()
    first = time.perf_counter() - start
    times = []
    if first > ARGUMENTS.budget and not compiles:
        times.append(first)
    while not times or (sum(times) < ARGUMENTS.budget and len(times) < ARGUMENTS.reps):
        if first > ARGUMENTS.budget and times:
            break
        start = time.perf_counter()
        result = call()
        times.append(time.perf_counter() - start)
    peak = memory("VmHWM")
    row = {
        "seconds": statistics.median(times),
        "seconds_min": min(times),
        "repetitions": len(times),
        "mb": round(max(peak - baseline.mb, 0.0), 2),
        "value": float(value(result)),
    }
    row.update(extra(result))
    print(json.dumps(row), flush=True)


def unknown():
    raise SystemExit(f"no peer {ARGUMENTS.peer} for {ARGUMENTS.task}")
