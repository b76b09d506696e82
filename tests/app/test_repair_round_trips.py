"""Files that real libraries wrote are repaired: the libraries load them, look up the promised codes and train on without harm."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest

from vqdoctor.app.repair import RepairRequest, RepairResult, repair
from vqdoctor.checkpoint import open_source
from vqdoctor.layouts import find_quantizers, lookup, stored_rows
from vqdoctor.nearest import encode
from vqdoctor.treatment import TreatmentRequest

torch = pytest.importorskip("torch")

ROOT = Path(__file__).parents[2]
DIM, FEW = 8, 4
SELECTIVE = (("kmeans", {"only_dead": True}), ("reset-dead", {}))
TREATMENTS = (("kmeans", {}), *SELECTIVE)
NAMES = ("kmeans", "kmeans-only-dead", "reset-dead")


def blobs(n: int, clusters: int, width: int = DIM, seed: int = 0) -> np.ndarray:
    """Rows of a mixture; the first clusters are the same whatever their number."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((64, width))[:clusters]
    return (centres[rng.integers(0, clusters, n)] + 0.1 * rng.standard_normal((n, width))).astype(np.float32)


def repaired(path: Path, rows: np.ndarray, method: str, options: dict, quantizer: str | None = None) -> tuple[Path, RepairResult]:
    """The repaired copy beside `path`, and what was planned for it."""
    features = path.with_name("rows.npy")
    np.save(features, rows)
    out = path.with_name(f"repaired{path.suffix}")
    request = RepairRequest(TreatmentRequest(method, **options), ((None, str(features)),), quantizer)
    done = repair(str(path), str(out), request)
    assert isinstance(done, RepairResult)
    return out, done


def promised(path: Path, rows: np.ndarray, name: str | None = None) -> np.ndarray:
    """(n, L) codes that our search finds in the file."""
    with open_source(str(path)) as source:
        (found,) = [one for one in find_quantizers(source) if name in (None, one.name)]
        return encode(rows, lookup(source, found)).codes


def live_rows_unchanged(before: Path, after: Path, done: RepairResult) -> bool:
    """Every stored row that the plan does not name is the same, bit for bit."""
    with open_source(str(before)) as old, open_source(str(after)) as new:
        return all(
            np.array_equal(
                np.delete(stored_rows(old, level), one.rows_changed, axis=0),
                np.delete(stored_rows(new, level), one.rows_changed, axis=0),
            )
            for plan in done.plan.plans
            for level, one in zip(plan.quantizer.levels, plan.levels, strict=True)
        )


# --- vector-quantize-pytorch ----------------------------------------------------------------------------------------------------

VQ = {
    "euclidean": ("VectorQuantize", {"threshold_ema_dead_code": 2}),
    "kmeans-start": ("VectorQuantize", {"kmeans_init": True}),
    "cosine": ("VectorQuantize", {"use_cosine_sim": True}),
    "projected": ("VectorQuantize", {"codebook_dim": 4}),
    "affine": ("VectorQuantize", {"affine_param": True}),
    "learned": ("VectorQuantize", {"learnable_codebook": True, "ema_update": False}),
    "heads": ("VectorQuantize", {"heads": 3, "codebook_dim": 4, "separate_codebook_per_head": True}),
    "one-book-for-heads": ("VectorQuantize", {"heads": 3, "codebook_dim": 4}),
    "residual": ("ResidualVQ", {"num_quantizers": 3}),
    "residual-cosine": ("ResidualVQ", {"num_quantizers": 2, "use_cosine_sim": True}),
    "residual-shared": ("ResidualVQ", {"num_quantizers": 3, "shared_codebook": True}),
    "simvq": ("SimVQ", {}),
    "residual-simvq": ("ResidualSimVQ", {"num_quantizers": 2}),
}


def build(name: str):
    library = pytest.importorskip("vector_quantize_pytorch")
    kind, config = VQ[name]
    torch.manual_seed(0)
    module = getattr(library, kind)(dim=DIM, codebook_size=32, **config)
    if "affine_param" in config:
        module.train()(torch.zeros(1, 1, DIM))  # only then has it the statistics that its file holds
    return module


def trained(module):
    """After steps on a few clusters, most of its codes then thrown far away, with the counts and sums of such a book."""
    module.train()
    learning = [p for p in module.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(learning, lr=1e-3) if learning else None
    for step in range(20):
        loss = module(torch.from_numpy(blobs(256, FEW, seed=0))[None])[2].sum()
        if optimizer is not None and loss.requires_grad and step < 3:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    for book in books(module):
        if not book.use_cosine_sim:  # cosine books are sick by the training alone
            book.embed.data[:, FEW:] += 30
            book.cluster_size[:, :FEW], book.cluster_size[:, FEW:] = 256 / FEW, 1e-3
            size, codes = book.cluster_size, book.embed.shape[1]
            smoothed = (size + book.eps) / (size.sum(-1, keepdim=True) + codes * book.eps) * size.sum(-1, keepdim=True)
            book.embed_avg.copy_(book.embed * smoothed[..., None])
    return module.eval()


@torch.no_grad()
def chosen(module, rows: np.ndarray) -> np.ndarray:
    """The library's own indices (n, L)."""
    for book in books(module):
        book.affine_param_batch_decay = 1.0  # looking up changes an affine book's statistics, in eval mode too
    return module.eval()(torch.from_numpy(rows)[None])[1].reshape(len(rows), -1).numpy()


def books(module) -> list:
    """The tables that the library looks codes up in."""
    return [one._codebook for one in module.modules() if hasattr(one, "_codebook")]


def moves_in_a_step(module, rows: np.ndarray) -> float:
    """How far one training step, whose batch weighs nothing, moves any code; expiry of dead codes and normalisation take place."""
    before = [book.embed.detach().clone() for book in books(module)]
    for book in books(module):
        book.decay = 1.0
    module.train()
    with torch.no_grad():
        module(torch.from_numpy(rows)[None])
    return max(float((book.embed - old).abs().max()) for book, old in zip(books(module), before, strict=True))


@pytest.mark.peer
@pytest.mark.parametrize(("method", "options"), TREATMENTS, ids=NAMES)
@pytest.mark.parametrize("name", VQ)
def test_vector_quantize_pytorch(name: str, method: str, options: dict, tmp_path: Path) -> None:
    path, rows = tmp_path / "model.pt", blobs(2000, 40)
    torch.save(trained(build(name)).state_dict(), path)
    out, done = repaired(path, rows, method, options)
    assert len(done.plan.plans[0].levels[0].rows_changed)
    if done.plan.plans[0].request.selective:
        assert live_rows_unchanged(path, out, done)
    module = build(name)
    module.load_state_dict(torch.load(out, weights_only=True), strict=True)
    np.testing.assert_array_equal(chosen(module, rows), promised(out, rows))
    if books(module) and name != "learned":
        assert moves_in_a_step(module, rows) < 1e-4


# --- diffusers, transformers ----------------------------------------------------------------------------------------------------


def written(model, folder: Path) -> Path:
    """As the library saves it."""
    model.save_pretrained(str(folder), safe_serialization=True)
    (path,) = folder.glob("*.safetensors")
    return path


def load_repaired(model, path: Path, out: Path):
    """The library's own `from_pretrained` on its folder, with the repaired file under the original's name."""
    shutil.copyfile(out, path)
    return type(model).from_pretrained(str(path.parent)).eval()


def collapse(table) -> None:
    """All rows but a few far away."""
    torch.nn.init.normal_(table, std=0.5)
    table.data[FEW:] += 40


@pytest.mark.peer
@pytest.mark.parametrize(("method", "options"), TREATMENTS, ids=NAMES)
@torch.no_grad()
def test_diffusers(method: str, options: dict, tmp_path: Path) -> None:
    library = pytest.importorskip("diffusers")
    model = library.VQModel(
        block_out_channels=(8,), layers_per_block=1, norm_num_groups=4, num_vq_embeddings=24, vq_embed_dim=5
    ).eval()
    collapse(model.quantize.embedding.weight)
    rows = blobs(3000, 30, 5)
    path = written(model, tmp_path)
    out, done = repaired(path, rows, method, options)
    if done.plan.plans[0].request.selective:
        assert live_rows_unchanged(path, out, done)
    model = load_repaired(model, path, out)
    grid = torch.from_numpy(rows.T.reshape(1, 5, 60, 50).copy())
    found = model.quantize(grid)[2][2].reshape(-1, 1).numpy()
    np.testing.assert_array_equal(found, promised(path, rows))
    assert len(np.unique(found)) > 20


def encodec(library):
    model = library.EncodecModel(
        library.EncodecConfig(
            num_filters=4, hidden_size=8, codebook_dim=8, codebook_size=16, target_bandwidths=[1.5], upsampling_ratios=[4, 2],
            sampling_rate=800, num_lstm_layers=1, num_residual_layers=1,
        )
    )  # fmt: skip
    for layer in model.quantizer.layers:
        collapse(layer.codebook.embed)
        layer.codebook.inited.fill_(1)
        layer.codebook.embed_avg.copy_(layer.codebook.embed)
        layer.codebook.cluster_size.fill_(1)
    return model, {"quantizer": lambda model, x: model.quantizer.encode(x, 1.5)[:, 0].T}


def dac(library):
    model = library.DacModel(
        library.DacConfig(
            encoder_hidden_size=4, decoder_hidden_size=16, downsampling_ratios=[2], n_codebooks=3, codebook_size=16, codebook_dim=4
        )
    )
    for layer in model.quantizer.quantizers:
        torch.nn.init.normal_(layer.codebook.weight, std=0.1)
        layer.codebook.weight.data[:, 0] += 20
    return model, {"quantizer": lambda model, x: model.quantizer(x)[1][0].T}


def mimi(library):
    model = library.MimiModel(
        library.MimiConfig(
            num_filters=4, hidden_size=8, codebook_dim=8, vector_quantization_hidden_dimension=8, codebook_size=16,
            num_quantizers=3, num_semantic_quantizers=1, upsampling_ratios=[4, 2], num_hidden_layers=1, num_attention_heads=2,
            num_key_value_heads=2, intermediate_size=16, head_dim=8, upsample_groups=8,
        )
    )  # fmt: skip
    parts = [f"{part}_residual_vector_quantizer" for part in ("semantic", "acoustic")]
    for part in parts:
        for layer in getattr(model.quantizer, part).layers:
            collapse(layer.codebook.embed_sum)
            torch.nn.init.uniform_(layer.codebook.cluster_usage, 0.5, 20)
            layer.codebook.initialized.fill_(1)
    return model, {f"quantizer.{part}": lambda model, x, part=part: getattr(model.quantizer, part).encode(x)[:, 0].T
                   for part in parts}  # fmt: skip


@pytest.mark.peer
@pytest.mark.parametrize("make", [encodec, dac, mimi])
@pytest.mark.parametrize(("method", "options"), TREATMENTS, ids=NAMES)
@torch.no_grad()
def test_transformers(make, method: str, options: dict, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, quantizers = make(pytest.importorskip("transformers"))
    path = written(model.eval(), tmp_path)
    width = model.config.hidden_size
    rows = blobs(2000, 40, width)
    sound = torch.from_numpy(rows.T[None].copy())
    for name, look_up in quantizers.items():
        out, done = repaired(path, rows, method, options, name)
        assert len(done.plan.plans[0].levels[0].rows_changed)
        if done.plan.plans[0].request.selective:
            assert live_rows_unchanged(path, out, done)
        model = load_repaired(model, path, out)
        found = look_up(model, sound).numpy()
        np.testing.assert_array_equal(found, promised(path, rows, name)[:, : found.shape[1]])
        for beside in tmp_path.glob("repaired*"):
            beside.unlink()


# --- the bundled trainer --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "options"), TREATMENTS, ids=NAMES)
@pytest.mark.parametrize("name", ["ema-illusion", "collapsed-rq", "hourglass"])
def test_the_trainer_s_samples(name: str, method: str, options: dict, tmp_path: Path) -> None:
    from vqdoctor.trainer import checkpoints
    from vqdoctor.trainer.config import apply
    from vqdoctor.trainer.run import Run
    from vqdoctor.trainer.settings import Config

    path = ROOT / "sample_checkpoints" / f"{name}.pt"
    original = hashlib.sha256(path.read_bytes()).hexdigest()
    out = tmp_path / "out.pt"
    done = repair(str(path), str(out), RepairRequest(TreatmentRequest(method, **options)))
    if not isinstance(done, RepairResult):  # every code is in use
        assert name == "hourglass"
        return
    assert hashlib.sha256(path.read_bytes()).hexdigest() == original
    if done.plan.plans[0].request.selective:
        assert live_rows_unchanged(path, out, done)
    content = checkpoints.load(out)
    run = Run(apply(Config(), content["config"])[0], "custom", tmp_path, lambda: 0.0)
    run.restore(content)
    rows = np.load(path.with_suffix(".features.npy")).astype(np.float32)
    with torch.no_grad():
        values, found, _ = run.model.eval().quantizer(torch.from_numpy(rows))
    other = (found.numpy() != promised(out, rows)).any(axis=1)
    assert other.mean() < 1e-3
    if other.any():  # the trainer's ‖x‖² + ‖c‖² − 2x·c leaves ties in float32
        with open_source(str(out)) as source:
            ours = encode(rows, lookup(source, done.plan.plans[0].quantizer)).residuals[other, -1]
        theirs = np.square(rows - values.numpy())[other].sum(axis=1)
        assert (theirs - ours < 2e-6 * np.square(rows[other]).sum(axis=1)).all()
    run.log.close()
