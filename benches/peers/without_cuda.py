"""Lets PyTorch's wheel from PyPI be imported where most of CUDA is not installed.

Its libraries name those of CUDA (2.5 GB) as needed, although no call on a processor reaches them. Each that is absent gets
an empty library of its name; symbols are bound when they are first called (see common.py), and these never are.
What is measured, libtorch_cpu and its MKL, is untouched.
"""

import importlib.util
import pathlib
import subprocess
import sys

NAMES = (
    "libcublas.so.13 libcublasLt.so.13 libcudnn.so.9 libcufft.so.12 libcufile.so.0 libcurand.so.10 libcusolver.so.12 "
    "libcusparse.so.12 libcusparseLt.so.0 libnccl.so.2 libnvshmem_host.so.3"
).split()

package = importlib.util.find_spec("torch")
if package is None:
    sys.exit("PyTorch is not installed")
folder = pathlib.Path(package.origin).parent
for name in NAMES:
    real = list(folder.parent.glob(f"nvidia/**/{name}"))
    at = folder / "lib" / name
    if not real and not at.exists():
        subprocess.run(
            ["cc", "-shared", "-x", "c", "/dev/null", "-o", str(at), f"-Wl,-soname,{name}"], check=True
        )
check = "import os, sys; sys.setdlopenflags(os.RTLD_LAZY); import torch; print('PyTorch', torch.__version__, torch.ones(3).sum())"
subprocess.run([sys.executable, "-c", check], check=True)
