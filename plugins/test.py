"""Installs each plugin of this folder with its framework and runs its tests, one after the other; what `make test-plugins` calls.

In an environment of its own on top of the project's (`make` sets it up), so that the main tests never see a plugin. A plugin whose
framework has no build for this machine may be left out, if it is listed in OPTIONAL; every other failure counts.
"""

import subprocess
import sys
import time
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
OPTIONAL = ("vqdoctor-ray",)
PIP = (sys.argv[1], "-m", "pip", "--python", sys.executable, "install", "--quiet", "--disable-pip-version-check")


def install(folder: Path) -> str:
    """ "" where that went well, else the last line of what pip said."""
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extra = "[test]" if "test" in project.get("optional-dependencies", {}) else ""
    constraints = HERE.parent / "constraints.txt"
    done = subprocess.run([*PIP, "-c", constraints, "-e", f"{folder}{extra}"], capture_output=True, text=True)
    return (done.stderr.strip().splitlines() or ["pip failed"])[-1] if done.returncode else ""


def outcome(folder: Path) -> tuple[bool, str]:
    """Whether the plugin is as it should be, and in words."""
    print(f"\n== {folder.name}", flush=True)
    if why := install(folder):
        return folder.name in OPTIONAL, f"not installed: {why}"
    start = time.monotonic()
    tests = [sys.executable, "-m", "pytest", "-q", "-c", folder / "pyproject.toml", "--rootdir", folder, folder / "tests"]
    passed = subprocess.run(tests, cwd=folder).returncode == 0
    return passed, f"{'passed' if passed else 'FAILED'} in {time.monotonic() - start:.0f} s"


def main() -> int:
    """1 where a plugin failed."""
    folders = sorted(path.parent for path in HERE.glob("*/pyproject.toml") if (path.parent / "tests").is_dir())
    found = {folder.name: outcome(folder) for folder in folders}
    width = max(map(len, found), default=0)
    print("\n" + "\n".join(f"  {name:<{width}}  {words}" for name, (_, words) in found.items()))
    return int(not all(good for good, _ in found.values()))


if __name__ == "__main__":
    sys.exit(main())
