"""The table at the end of `make bench`: work × ours × each peer and limit, as ratios with their bars, from what was kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from record import Result, short
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

NARROWEST = 132
KEPT, MISSED = "✓", "✗"
UNITS = (("s", 1.0), ("ms", 1e3), ("µs", 1e6))


def show(results: Sequence[Result], console: Console) -> None:
    """Prints a table for each table of results, a row a work, a column a peer; then what missed its bar."""
    for name in dict.fromkeys(str(result["table"]) for result in results):
        console.print(matrix(name, [result for result in results if result["table"] == name]))
    console.print(Text(verdict(results)))


def matrix(name: str, results: Sequence[Result]) -> Table:
    """One table's works and peers, in the order in which they were measured."""
    table = Table(title=Text(name), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    works, peers = (list(dict.fromkeys(str(result[key]) for result in results)) for key in ("work", "peer"))
    peers.sort(key="limit".__eq__)  # last
    table.add_column("work", min_width=min(40, max(map(len, works))))
    table.add_column("ours", justify="right", no_wrap=True)
    for peer in peers:
        table.add_column(Text("÷ " + peer if peer != "limit" else "limit"), justify="right")
    for work in works:
        cells = {str(result["peer"]): cell(result) for result in results if result["work"] == work}
        own = next((text for result in results if result["work"] == work and (text := ours(result))), "–")
        table.add_row(Text(work), Text(own), *(cells.get(peer, Text("")) for peer in peers))
    return table


def ours(result: Result) -> str:
    """Seconds and MiB of ours, or the figure that has a limit."""
    if "value" in result:
        return f"{short(result['value'])} {result.get('unit', '')}".strip()
    time = duration(result["seconds"]) if "seconds" in result else ""
    memory = f"{result['memory_mib']:.0f} MiB" if "memory_mib" in result else ""
    return ", ".join(filter(None, (time, memory)))


def cell(result: Result) -> Text:
    """A ratio, the bar that it has, whether it keeps within it; below it the ratio of CPU times, where both were measured."""
    text = Text()
    if "limit" in result:
        text.append(f"≤ {short(result['limit'])}")
    elif result.get("ratio") is not None:
        text.append(short(result["ratio"]))
    if "limit" not in result:
        text.append("".join(f" {sign} {result[key]:.3g}" for key, sign in (("floor", "≥"), ("bar", "≤")) if key in result))
    if (met := result.get("met")) is not None:
        text.append(" ")
        text.append(KEPT if met else MISSED, "green" if met else "bold red")
    if "cpu_ratio" in result:
        text.append(f"\nCPU {short(result['cpu_ratio'])}", "dim")
    if "inertia" in result:
        text.append("\n" + inertia(result), "dim")
    return text


def inertia(result: Result) -> str:
    """Of k-means: ours over the peer's, with its bar."""
    return f"inertia {result['inertia']:.4f}" + (f" ≤ {result['inertia_bar']:g}" if "inertia_bar" in result else "")


def verdict(results: Iterable[Result]) -> str:
    """How many bars were kept, and each that was missed."""
    judged = [result for result in results if result.get("met") is not None]
    missed = [result for result in judged if not result["met"]]
    lines = [f"Bars: {len(judged) - len(missed)} of {len(judged)} kept." if judged else "No result has a bar."]
    lines += [f"  missed: {result['table']}, {result['work']}: {excess(result)}" for result in missed]
    return "\n".join(lines)


def excess(result: Result) -> str:
    """What a missed bar asked for and what there was."""
    if "limit" in result:
        return f"{short(result['value'])} {result['unit']}, at most {short(result['limit'])}"
    bars = " and ".join(f"{word} {result[key]:.3g}" for key, word in (("floor", "at least"), ("bar", "at most")) if key in result)
    more = f"; of CPU {short(result['cpu_ratio'])}" if "cpu_ratio" in result else ""
    more += f"; {inertia(result)}" if "inertia" in result else ""
    return f"{short(result['ratio'])} of {result['peer']}{more}" + (f", {bars}" if bars else "")


def measured_on(run: Result) -> str:
    """The header of the results, in words."""
    have = ", ".join(f"{name} {version}" for name, version in run["versions"].items() if version)
    busy = "" if (run["load"] or 0) < run["cores"] / 2 else f" – busy: load {run['load']}, compare CPU rather than wall time"
    return f"{run['cpu'] or run['system']}, {run['cores']} cores{busy}\n{have}"


def duration(seconds: float) -> str:
    """In the unit that suits it."""
    unit, factor = next(((unit, factor) for unit, factor in UNITS if seconds * factor >= 1), UNITS[-1])
    return f"{seconds * factor:.{3 if seconds * factor < 1000 else 4}g} {unit}"
