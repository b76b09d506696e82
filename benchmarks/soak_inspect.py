"""Soak of `inspect`: thousands of generated checkpoints of every layout through one process; its memory must stay flat.

`python benchmarks/soak_inspect.py --count 10000`. The checkpoints are the specimens of `tests/layouts`, written as real files in
torch's zip, in safetensors and in npz by turns, a tenth of them cut off or with a byte changed. Exit status 1 where memory grew.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from vqdoctor.app.inspect import inspect
from vqdoctor.errors import VqdoctorError
from vqdoctor.render import Screen, renderer

LAYOUTS = Path(__file__).parents[1] / "tests" / "layouts"
WARM = 0.1  # share of the checkpoints after which the first look at memory is taken
GROWTH = 0.05  # that is allowed from there on
PAGE = os.sysconf("SC_PAGE_SIZE")


def specimens() -> list:
    """What the tests of the layouts know, one synthetic checkpoint a family and more."""
    sys.path.insert(0, str(LAYOUTS))
    return [one for path in sorted(LAYOUTS.glob("specimens_*.py")) for one in importlib.import_module(path.stem).SPECIMENS]


def write(specimen, folder: Path, turn: int) -> Path:
    """One specimen as a file, in one of three containers."""
    arrays = {name: np.ascontiguousarray(array) for name, array in specimen.source().arrays.items()}
    if turn % 3 == 0:
        import torch

        path = folder / f"{specimen.id}.pt"
        torch.save({name: torch.from_numpy(array.copy()) for name, array in arrays.items()}, path)
    elif turn % 3 == 1:
        from safetensors.numpy import save_file

        path = folder / f"{specimen.id}.safetensors"
        save_file(arrays, path)
    else:
        path = folder / f"{specimen.id}.npz"
        np.savez(path, **arrays)
    return path


def spoil(path: Path, rng: np.random.Generator) -> None:
    """Cut off, or a byte changed."""
    data = bytearray(path.read_bytes())
    if rng.random() < 0.5:
        del data[rng.integers(len(data)) :]
    else:
        data[rng.integers(len(data))] ^= 0xFF
    path.write_bytes(data)


def resident_mib() -> float:
    """Memory of this process now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE / (1 << 20)


def main() -> int:
    """Runs and tells."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=10_000)
    count = options.parse_args().count
    known, rng = specimens(), np.random.default_rng(0)
    read, refused, first, began = 0, 0, 0.0, time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(count):
            path = write(known[turn % len(known)], Path(folder), turn // len(known))
            if rng.random() < 0.1:
                spoil(path, rng)
            try:
                renderer("json").render(inspect([str(path)]), Screen())
                read += 1
            except VqdoctorError:
                refused += 1
            path.unlink()
            if turn == int(count * WARM):
                first = resident_mib()
    last = resident_mib()
    print(
        f"{count} checkpoints of {len(known)} kinds in {time.monotonic() - began:.0f} s: {read} read, {refused} refused; "
        f"memory {first:.0f} MiB after {WARM:.0%}, {last:.0f} MiB at the end"
    )
    return int(last > first * (1 + GROWTH))


if __name__ == "__main__":
    sys.exit(main())
