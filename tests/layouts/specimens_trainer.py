"""Checkpoints of the bundled trainer."""

from synthetic import Expected, Level, Specimen, convolutions, counts_of, draw, normal, smoothed


def _level(seed: int, codes: int, dim: int, *, sums: bool = True):
    rng = draw(seed)
    book, counts = normal(rng, codes, dim), counts_of(rng, codes)
    state = {"codebook": book, "ema_count": counts}
    if sums:
        state["ema_sum"] = book * smoothed(counts)[:, None]
    return state | {"initialised": draw(0).integers(1, 2, ()).astype("uint8")}, Level(book, counts, flag=1.0)


def _model(levels):
    tensors = convolutions(draw(9))
    for i, state in enumerate(levels):
        tensors |= {f"quantizer.layers.{i}.{name}": array for name, array in state.items()}
    return tensors


def _specimen(name: str, structure: str, *levels):
    expected = Expected(
        "quantizer", "vqdoctor-trainer", structure, "l2", tuple(known for _, known in levels), metric_basis="assumed"
    )
    return Specimen(name, (), _model([state for state, _ in levels]), (expected,))


SPECIMENS = [
    _specimen("trainer-vq", "single", _level(1, 16, 4)),
    _specimen("trainer-rq", "residual", *(_level(seed, 8, 6) for seed in range(3))),
    _specimen("trainer-gradient", "single", _level(5, 16, 4, sums=False)),
]
