"""Coverage-guided fuzzing of one parser with atheris: `python tests/fuzz/fuzz_guided.py PARSER --runs 1000000`.

It goes on after a finding, keeps one input for each place that an error came from, and ends with what it did, in JSON: how many
executions, how many findings. Exit status 1 where there is a finding.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import os
import resource
import shutil
import sys
import time
import traceback
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["vqdoctor"], enable_loader_override=False):
    from fuzz_parsers import FOLDER, PARSERS, Parser, survives
    from fuzz_whole import COMMANDS

SLOW_SECONDS = 2.0  # of this process's own time for one input of at most LONGEST bytes
GROWTH = 256 << 20  # bytes that the process may grow by at one input; what the fuzzer itself keeps of each adds up
LONGEST = 1 << 13  # bytes of an input, whatever its seeds
HANGS_SECONDS = 300  # after which libFuzzer ends the process, on a machine that does something else besides


class Session:
    """Counts executions and keeps findings, one for each place."""

    def __init__(self, parser: Parser, runs: int, out: Path) -> None:
        self.parser, self.runs, self.out = parser, runs, out
        self.executions = 0
        self.findings: dict[str, str] = {}
        self.started = time.monotonic()
        self.first = self.memory = 0

    def one(self, data: bytes) -> None:
        """One execution; the last one ends the process."""
        self.executions += 1
        began = time.process_time()
        try:
            survives(self.parser, data)
        except Exception as error:
            self.keep(data, place(error))
        spent = time.process_time() - began
        if spent > SLOW_SECONDS:
            self.keep(data, f"slow: {spent:.1f} s")
        before, self.memory = self.memory, peak_bytes()
        self.first = self.first or self.memory
        if before and self.memory > before + GROWTH:
            self.keep(data, "memory")
        if self.executions % 20_000 == 0 or self.executions >= self.runs:
            self.report()
        if self.executions >= self.runs:
            shutil.rmtree(FOLDER, ignore_errors=True)
            sys.stdout.flush()
            os._exit(1 if self.findings else 0)

    def keep(self, data: bytes, what: str) -> None:
        """Writes the input of a finding at a place that had none."""
        kind = what.partition(":")[0] if what.startswith("slow") else what
        if kind not in self.findings:
            self.out.mkdir(parents=True, exist_ok=True)
            path = self.out / f"{self.parser.name}-{hashlib.sha256(data).hexdigest()[:12]}"
            path.write_bytes(data)
            self.findings[kind] = f"{what} ({path})"
            print(f"finding: {what} {path}", flush=True)

    def report(self) -> None:
        """What was done so far, for a person and for a program."""
        said = {
            "parser": self.parser.name, "executions": self.executions, "findings": list(self.findings.values()),
            "seconds": round(time.monotonic() - self.started), "grown_mib": (self.memory - self.first) >> 20,
        }  # fmt: skip
        self.out.mkdir(parents=True, exist_ok=True)
        (self.out / f"{self.parser.name}.json").write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
        if self.executions >= self.runs:
            print(json.dumps(said))


def peak_bytes() -> int:
    """The largest that this process has been."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def place(error: Exception) -> str:
    """Where an error came from, so that one mistake counts once."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    ours = [one for one in traceback.extract_tb(error.__traceback__) if "vqdoctor" in one.filename] or [frame]
    return f"{type(error).__name__} at {Path(ours[-1].filename).name}:{ours[-1].lineno}"


def escaped(word: bytes) -> str:
    """As libFuzzer's dictionaries spell bytes."""
    return "".join(rf"\x{byte:02x}" for byte in word)


def main() -> None:
    """Reads the options and hands over to libFuzzer, which never returns."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("parser", choices=sorted(PARSERS | COMMANDS))
    options.add_argument("--runs", type=int, default=1_000_000)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--out", type=Path, default=Path("fuzz-findings"))
    given = options.parse_args()
    parser = (PARSERS | COMMANDS)[given.parser]
    corpus, words = FOLDER / "corpus", FOLDER / "words"
    corpus.mkdir()
    for at, seed in enumerate(parser.seeds):
        (corpus / f"{at:03d}").write_bytes(seed[: parser.longest or LONGEST])
    words.write_text("".join(f'"{escaped(word)}"\n' for word in parser.words if word))
    longest = parser.longest or min(LONGEST, max(256, 2 * max(map(len, parser.seeds))))
    session = Session(parser, given.runs, given.out)
    gc.freeze()  # what is imported stays
    flags = [
        *([f"-dict={words}"] if parser.words else []),
        f"-max_len={longest}",
        f"-timeout={HANGS_SECONDS}",
        f"-seed={given.seed}",
        "-rss_limit_mb=4096",
        "-verbosity=0",
    ]
    atheris.Setup([sys.argv[0], str(corpus), *flags], session.one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
