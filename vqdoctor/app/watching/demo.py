"""`vqdoctor watch --demo`: a codebook collapses while its statistics say 100 %, and is cured, live, in under a minute.

Two short runs of the bundled trainer, one after the other, in a process of their own and a folder that goes away again: the disease
(`vq-ema-illusion`), then the same data with what cures it (`vq-improved`). The watch sees nothing but their logs and checkpoints.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from vqdoctor.errors import VqdoctorError, printable

RUNS = (("vq-ema-illusion", 3), ("vq-improved", 16))
"""Recipe and epochs: as many as show it."""
PATIENCE = 5.0  # seconds for the trainer to end when it is told to


class Demo:
    """The trainer at work.

    Attributes:
        folder: where it writes.
    """

    def __init__(self) -> None:
        self._home = tempfile.TemporaryDirectory(prefix="vqdoctor-demo-")
        self.folder = str(Path(self._home.name) / "runs")
        Path(self.folder).mkdir()
        self._errors = Path(self._home.name) / "stderr.txt"
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, self.folder],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors,
                start_new_session=True,  # Ctrl-C is for the watch, which then ends this
            )  # fmt: skip

    def __enter__(self) -> Demo:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def going(self) -> bool:
        """Whether the trainer is still at work.

        Raises:
            VqdoctorError: it failed; its last line says why.
        """
        status = self._process.poll()
        if status:
            said = self._errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise VqdoctorError(
                f"the demo's trainer ended with status {status}: {printable(said[-1] if said else 'it said nothing')}."
            )
        return status is None

    def close(self) -> None:
        """End the trainer and take its folder away."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._home.cleanup()


def train(folder: str) -> None:
    """Both runs, one after the other."""
    import time

    import torch

    from vqdoctor.trainer.loop import train_plan
    from vqdoctor.trainer.plan import plan

    torch.set_num_threads(1)  # the watch wants a core too
    for recipe, epochs in RUNS:
        train_plan(plan(recipe, overrides={"epochs": epochs}), out=Path(folder) / recipe, clock=time.time)


if __name__ == "__main__":
    train(sys.argv[1])
