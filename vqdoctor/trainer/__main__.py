"""``python -m vqdoctor.trainer RECIPE --out DIR [--set key=value]…``: the module for `torchrun` to start on every rank.

People use `vqdoctor train`, which takes the same options.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import NoReturn

import orjson
from torch.distributed import is_torchelastic_launched

from vqdoctor.errors import VqdoctorError
from vqdoctor.trainer.loop import train_plan
from vqdoctor.trainer.plan import plan


def main() -> int:
    """Run one recipe and write its summary to standard output."""
    parser = argparse.ArgumentParser(prog="python -m vqdoctor.trainer", description=__doc__)
    parser.add_argument("recipe")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data")
    parser.add_argument("--config")
    parser.add_argument("--set", action="append", default=[], dest="sets")
    parser.add_argument("--scale", choices=("demo", "seed"))
    parser.add_argument("--resume", action="store_true")
    given = parser.parse_args()
    try:
        planned = plan(
            given.recipe, data=given.data, config_path=given.config, sets=tuple(given.sets), scale=given.scale,
            resumed=given.out if given.resume else None,
        )  # fmt: skip
        summary = train_plan(planned, out=given.out, clock=time.time, resume=given.resume)
    except VqdoctorError as error:
        sys.stderr.write(f"{error}\n")
        return int(error.exit_code)
    sys.stdout.buffer.write(orjson.dumps(summary.as_json(), option=orjson.OPT_INDENT_2) + b"\n")
    return 0


def leave(code: int) -> NoReturn:
    """End the process; under torchrun at once, because one run in ten torch's own threads abort during the interpreter's teardown.

    Everything is written and the group is gone by then; torchrun would report the abort as a failed run.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    if is_torchelastic_launched():
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    leave(main())
