"""k-means against scikit-learn's `k_means(X, k, random_state=0)` (what VQFR calls), MiniBatchKMeans and faiss, in one process.

`python benchmarks/kmeans.py [--full | --frontier | --data ROWS.npy [--centres K …]] [--json FILE]`. Rows are a mixture whose
clusters have sizes ∝ 1/√rank; ours is the mean of three seeds. Seconds on the wall and of CPU: on a busy machine only the latter
mean much, and only with one core for all (`taskset -c 0`), because faiss' threads wait by spinning. `--full` adds
16384 × 256 → 8192, which scikit-learn takes minutes for, and 262144 × 64 → 8192 beside faiss after 1, 3, 10 and 25 iterations;
`--frontier` is the latter alone, `--data` your own rows alone. Bars: scikit-learn takes 12 times as long at 8192 centres (inertia
1.002 of its), 3.5 times at 1024 (1.015); no faiss is both quicker and better.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from measure import Spent, extra_mib, spent
from record import record

from vqdoctor import kmeans
from vqdoctor.nearest import assign

SEEDS = 3
CASES = [(4096, 64, 512, 512), (16384, 256, 1024, 1024)]  # rows, width, centres, true clusters
FRONTIER = [(262144, 64, 8192, 8192)]
FULL_CASES = [*CASES, (16384, 256, 8192, 4096), *FRONTIER]
BARRED_ROWS, BARS = 16384, {1024: (3.5, 1.015), 8192: (12.0, 1.002)}  # centres: times as quick as scikit-learn, inertia at most
FAISS_ITERATIONS = (1, 3, 10, 25)
MOST_FOR_SKLEARN = 1 << 36  # rows · width · centres above which scikit-learn would take hours


class Run(NamedTuple):
    """Of one fit: seconds on the wall, seconds of CPU, MiB beyond the rows (NaN where the system does not say), inertia."""

    wall: float
    cpu: float
    memory: float
    inertia: float


def mixture(n: int, width: int, true: int) -> np.ndarray:
    """Rows (n, width) of `true` clusters, few large and many small ones."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((true, width), dtype=np.float32) * 0.8
    shares = 1 / np.sqrt(np.arange(1, true + 1))
    return centres[rng.choice(true, n, p=shares / shares.sum())] + 0.5 * rng.standard_normal((n, width), dtype=np.float32)


def measured(rows: np.ndarray, fit: Callable[[], np.ndarray]) -> Run:
    """One fit; its inertia is counted by our own search, outside the clock.

    A library keeps some of the memory that it once had, so who comes later may need less: the first is ours.
    """
    fitted: list[np.ndarray] = []
    took: list[Spent] = []
    extra = extra_mib(lambda: took.append(spent(lambda: fitted.append(fit()))))
    return Run(*took[0], np.nan if extra is None else extra, float(assign(rows, fitted[0])[1].sum(dtype=np.float64)))


def ours(rows: np.ndarray, k: int, seed: int) -> Callable[[], np.ndarray]:
    """This package's fit."""
    return lambda: kmeans.fit(rows, k, rng=np.random.default_rng(seed), assign=assign).centres


def peers(rows: np.ndarray, k: int) -> dict[str, Callable[[], np.ndarray]]:
    """Those that are installed, by name."""
    found: dict[str, Callable[[], np.ndarray]] = {}
    if rows.size * k <= MOST_FOR_SKLEARN:
        from sklearn.cluster import MiniBatchKMeans, k_means

        found["scikit-learn"] = lambda: k_means(rows, k, random_state=0)[0]
        found["MiniBatchKMeans"] = lambda: MiniBatchKMeans(k, batch_size=4096, n_init=1, random_state=0).fit(rows).cluster_centers_
    try:
        import faiss
    except ImportError:
        return found

    def trained(iterations: int) -> np.ndarray:
        most = {"max_points_per_centroid": 10**9, "min_points_per_centroid": 1}
        kmeans_of_faiss = faiss.Kmeans(rows.shape[1], k, niter=iterations, seed=1, **most)
        kmeans_of_faiss.train(rows)
        return kmeans_of_faiss.centroids

    for iterations in FAISS_ITERATIONS:
        found[f"faiss, {iterations} it."] = lambda iterations=iterations: trained(iterations)
    return found


def judged(rows: np.ndarray, k: int, peer: str, faster: float, worse: float) -> dict[str, float | bool]:
    """The bar of a case beside a peer, and whether it is met; empty where there is none."""
    if peer == "scikit-learn" and len(rows) == BARRED_ROWS and k in BARS:
        times, most = BARS[k]
        return {"bar": 1 / times, "inertia_bar": most, "met": faster >= times and worse <= most}
    return {"met": faster >= 1 or worse <= 1} if peer.startswith("faiss") and len(rows) > BARRED_ROWS else {}


def compare(rows: np.ndarray, k: int, label: str, file: str | None) -> None:
    """Prints a line for ours and each peer; the runs of ours lie between those of the peers."""
    own, others = [measured(rows, ours(rows, k, 0))], {}
    for seed, (name, fit) in enumerate(peers(rows, k).items(), start=1):
        others[name] = measured(rows, fit)
        if seed < SEEDS:
            own.append(measured(rows, ours(rows, k, seed)))
    mean = Run(*np.mean(own, axis=0).tolist())
    memory = own[0].memory
    print(f"{label:26} {'ours':16} {mean.wall:8.2f} {mean.cpu:8.2f} {memory:8.0f} {mean.inertia:12.5g}", flush=True)
    for name, run in others.items():
        faster, cpu, worse = run.wall / mean.wall, run.cpu / mean.cpu, mean.inertia / run.inertia
        figures = f"{run.wall:8.2f} {run.cpu:8.2f} {run.memory:8.0f} {run.inertia:12.5g} {faster:8.1f} {cpu:8.1f} {worse:8.4f}"
        ahead = "  quicker and better" if max(faster, 1 / worse) < 1 else ""
        print(f"{'':26} {name:16} {figures}{ahead}", flush=True)
        mib = {} if np.isnan(memory) else {"memory_mib": memory, "peer_memory_mib": run.memory}
        own = {"seconds": mean.wall, "cpu_ratio": 1 / cpu, "inertia": worse} | mib | judged(rows, k, name, faster, worse)
        record(file, table="k-means", work=label, peer=name, ratio=1 / faster, **own)


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="what is done without --full")
    parser.add_argument("--full", action="store_true", help="the large cases too: half an hour and more")
    parser.add_argument("--frontier", action="store_true", help="only the large case beside faiss")
    parser.add_argument("--data", type=Path, help="only rows (n, D) of your own, .npy")
    parser.add_argument("--centres", type=int, nargs="+", help="of those; n/4 if not given")
    parser.add_argument("--json", help="add the results to this file, a JSON object a line")
    given = parser.parse_args()
    print(
        f"{'rows × width → centres':26} {'':16} {'wall s':>8} {'CPU s':>8} {'MiB':>8} {'inertia':>12} "
        f"{'wall ×':>8} {'CPU ×':>8} {'ours ÷':>8}"
    )
    if given.data:
        rows = np.load(given.data).astype(np.float32)
        for k in given.centres or [len(rows) // 4]:
            compare(rows, k, f"{rows.shape[0]} × {rows.shape[1]} → {k}", given.json)
        return
    for n, width, k, true in FRONTIER if given.frontier else FULL_CASES if given.full else CASES[:1] if given.quick else CASES:
        compare(mixture(n, width, true), k, f"{n} × {width} → {k}", given.json)


if __name__ == "__main__":
    main()
