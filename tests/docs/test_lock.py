"""The lock of the development environment: every package that pyproject names for it, at a version that pyproject allows."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = ("tables", "bench", "fuzz", "peers", "dev")  # ray is for a plugin of its own
LINES = [line for line in (ROOT / "constraints-dev.txt").read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
LOCKED = dict(line.split("==") for line in LINES)


def test_every_line_pins_one_package():
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line) for line in LINES)


@pytest.mark.parametrize(
    "wanted", [*PROJECT["dependencies"], *(one for extra in EXTRAS for one in PROJECT["optional-dependencies"][extra])]
)
def test_what_the_project_asks_for_is_locked(wanted):
    requirement = Requirement(wanted)
    pinned = {canonicalize_name(name): version for name, version in LOCKED.items()}
    assert pinned[canonicalize_name(requirement.name)] in requirement.specifier, "make lock"
