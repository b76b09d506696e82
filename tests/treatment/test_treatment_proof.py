"""The proof after writing, two checkpoints compared, and the same repair on live modules."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sick_books import collapsed, mixture, one_sick, opened, told, trainer_level
from synthetic import FakeSource

from vqdoctor.errors import UsageError
from vqdoctor.layouts import find_quantizers
from vqdoctor.layouts.module_source import ModuleSource
from vqdoctor.treatment import Patched, TreatmentRequest, compare, plan, repair_module_, verify

BOOK, COUNT, SUM, FLAG = (f"quantizer.layers.0.{name}" for name in ("codebook", "ema_count", "ema_sum", "initialised"))


@pytest.fixture(name="sick")
def _sick():
    source, quantizer, rows = one_sick()
    made = plan(source, quantizer, rows, TreatmentRequest("reset-dead"))
    return source, rows, made


def test_verify_is_silent_about_the_planned_file(sick) -> None:
    source, rows, made = sick
    assert verify(source, Patched(source, made.changes), made, rows) == []


def test_verify_names_every_kind_of_slip(sick) -> None:
    source, rows, made = sick
    wrong = made.changes[BOOK].copy()
    wrong[7, 0] += 1e-3
    assert "1 of 192 elements differ" in verify(source, Patched(source, made.changes | {BOOK: wrong}), made)[0]
    touched = Patched(source, made.changes | {FLAG: np.array(0, np.uint8)})
    assert verify(source, touched, made) == [f"{FLAG} changed and should not"]
    stale = replace(made, changes={**made.changes, SUM: source.arrays[SUM]})
    assert "would move 28 rewritten codes" in verify(source, Patched(source, stale.changes), stale)[0]
    other = rows + np.float32(0.3)
    assert any("was promised" in one for one in verify(source, Patched(source, made.changes), made, other))
    fewer = FakeSource({name: array for name, array in source.arrays.items() if name != FLAG})
    assert "others" in verify(source, fewer, made)[0]
    wider = FakeSource(source.arrays | {COUNT: source.arrays[COUNT].astype(np.float64)})
    assert "another shape or type" in verify(source, wider, made)[0]


# --- compare --------------------------------------------------------------------------------------------------------------------


def test_compare_counts_what_moved_died_and_came_back(sick) -> None:
    source, _, made = sick
    (found,) = compare(source, Patched(source, made.changes)).quantizers
    (level,) = found.levels
    assert (level.frozen, level.moved, level.died, level.revived) == (4, 28, 0, 28)
    assert level.revived_rows == tuple(range(4, 32)) and level.active == (4, 32)
    assert level.flag == (1, 1) and level.broken == (0, 0) and level.ema_inconsistent == (0, 0)
    assert level.movement > 0.5 and level.norm_ratio < 1 and found.levels_changed is None
    back = compare(Patched(source, made.changes), source).quantizers[0].levels[0]
    assert (back.died, back.revived) == (28, 0)


def test_compare_of_a_file_with_itself_finds_nothing(sick) -> None:
    source, _, _ = sick
    values = compare(source, source).values()
    level = values["quantizers"][0]["levels"][0]
    assert values["schema"] == "vqdoctor.compare/1"
    assert (level["frozen"], level["moved"], level["movement"], level["norm_ratio"]) == (32, 0, None, 1.0)


def test_compare_sees_grown_books_more_levels_and_lost_quantisers() -> None:
    rows = mixture(500, 6, 20)
    small, large = (trainer_level(collapsed(rows, size, 4), 4) for size in (16, 32))
    one, _ = opened(small, told())
    two, _ = opened(large | trainer_level(collapsed(rows, 32, 4), 4, prefix="quantizer.layers.1."), told())
    (found,) = compare(one, two).quantizers
    assert found.levels[0].codes == (16, 32) and found.levels_changed == (1, 2)
    vq = FakeSource({"a.codebook.embedding.weight": collapsed(rows, 8, 4), "b.codebook.embedding.weight": collapsed(rows, 8, 2)})
    only = FakeSource({"a.codebook.embedding.weight": collapsed(rows, 8, 4)})
    assert compare(vq, only).only_a == ("b.codebook",)
    (level,) = compare(vq, only).quantizers[0].levels
    assert level.died is None and level.active == (None, None) and level.flag == (None, None)


def test_compare_notices_broken_rows_and_sums_that_disagree(sick) -> None:
    source, _, _ = sick
    after = FakeSource({name: array.copy() for name, array in source.arrays.items()})
    after.arrays[BOOK][3] = np.nan
    after.arrays[SUM][1] *= 2
    (level,) = compare(source, after).quantizers[0].levels
    assert level.broken == (0, 1) and level.ema_inconsistent == (0, 2) and level.moved == 1


# --- live modules ---------------------------------------------------------------------------------------------------------------


def module_of(torch, book: np.ndarray):
    """A gradient codebook in a model, with the flag as a plain attribute as LC-Rec has it."""

    class Layer(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = torch.nn.Embedding(*book.shape)
            self.embedding.weight.data.copy_(torch.from_numpy(book))
            self.initted = False

    model = torch.nn.Module()
    model.rq = torch.nn.Module()
    model.rq.vq_layers = torch.nn.ModuleList([Layer()])
    return model


def test_a_module_is_repaired_in_place_with_its_optimiser() -> None:
    torch = pytest.importorskip("torch")
    rows = mixture(3000, 6, 40)
    model = module_of(torch, collapsed(rows, 16, 4))
    weight = model.rq.vq_layers[0].embedding.weight
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    weight.sum().backward()
    optimizer.step()
    live = weight.detach().clone()[:4]
    pointer = weight.data_ptr()
    made = repair_module_(model, torch.from_numpy(rows), "reset-dead", optimizer=optimizer)
    assert weight.data_ptr() == pointer and weight.requires_grad
    np.testing.assert_array_equal(weight.detach().numpy(), made.changes["rq.vq_layers.0.embedding.weight"])
    assert torch.equal(weight[:4], live) and made.levels[0].after["usage.used"] > 12
    state = optimizer.state[weight]
    assert not state["exp_avg"][4:].any() and state["exp_avg"][:4].all() and state["exp_avg_sq"].all()


def test_a_module_between_backward_and_step_still_steps() -> None:
    torch = pytest.importorskip("torch")
    rows = mixture(2000, 6, 40)
    model = module_of(torch, collapsed(rows, 16, 4))
    weight = model.rq.vq_layers[0].embedding.weight
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    weight.square().sum().backward()
    repair_module_(model, rows)
    optimizer.step()
    assert torch.isfinite(weight).all()


def test_a_module_source_reads_what_is_there_and_knows_ties() -> None:
    torch = pytest.importorskip("torch")
    model = torch.nn.Module()
    model.a = torch.nn.Linear(3, 2, bias=False)
    model.b = torch.nn.Linear(3, 2, bias=False)
    model.b.weight = model.a.weight
    model.register_buffer("narrow", torch.arange(4, dtype=torch.bfloat16))
    source = ModuleSource(model)
    assert source.specs["a.weight"].storage == source.specs["b.weight"].storage != source.specs["narrow"].storage
    assert source.specs["narrow"].dtype == "bfloat16" and source.read("narrow", 1, 3).tolist() == [1, 2]
    source.write("narrow", np.array([5, 6, 7, 8], np.float32))
    assert model.narrow.tolist() == [5, 6, 7, 8] and model.narrow.dtype == torch.bfloat16
    assert source.kind == "module" and source.bytes == 2 * 24 + 8


def test_which_quantiser_of_a_module_must_be_clear() -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(UsageError, match="no quantisers"):
        repair_module_(torch.nn.Linear(2, 2), np.ones((4, 2)))


def test_what_cannot_be_done_to_a_module_is_raised() -> None:
    torch = pytest.importorskip("torch")
    model = module_of(torch, np.ones((4, 2), np.float32))
    with pytest.raises(UsageError, match=r"--freeze-init cannot be done: .* no initialised flag"):
        repair_module_(model, method="freeze-init")


@pytest.mark.peer
@pytest.mark.parametrize("cosine", [False, True])
def test_a_repaired_vector_quantize_pytorch_module_gives_the_promised_codes_and_keeps_them(cosine: bool) -> None:
    torch = pytest.importorskip("torch")
    library = pytest.importorskip("vector_quantize_pytorch")
    rows = torch.from_numpy(mixture(4000, 6, 40))
    model = torch.nn.Module()
    model.vq = library.VectorQuantize(dim=6, codebook_size=16, use_cosine_sim=cosine, threshold_ema_dead_code=0)
    book = model.vq._codebook
    with torch.no_grad():
        far = torch.from_numpy(collapsed(rows.numpy(), 16, 3))[None]
        book.embed.copy_(torch.nn.functional.normalize(far, dim=-1) if cosine else far)
        book.embed_avg.copy_(book.embed * 50)
        book.cluster_size.fill_(50)
    made = repair_module_(model, rows, "kmeans")
    before = book.embed.clone()
    found = model.eval().vq(rows[None])[1][0].numpy()
    own = np.unique(found).size
    assert own >= made.levels[0].after["usage.used"] > made.levels[0].before["usage.used"]
    with torch.no_grad():  # the library's own update on the rows: codes move towards means they already are
        for _ in range(20):
            model.train().vq(rows[None])
    assert np.unique(model.eval().vq(rows[None])[1]).size >= 0.95 * own
    assert (book.embed - before).norm(dim=-1).median() < 0.2 * before.norm(dim=-1).median()


@pytest.mark.peer
def test_mimi_forgets_the_codes_it_has_cached() -> None:
    torch = pytest.importorskip("torch")
    modeling = pytest.importorskip("transformers.models.mimi.modeling_mimi")
    configuration = pytest.importorskip("transformers.models.mimi.configuration_mimi")
    config = configuration.MimiConfig(codebook_size=16, codebook_dim=6)
    model = torch.nn.Module()
    model.semantic_residual_vector_quantizer = torch.nn.Module()
    layer = torch.nn.Module()
    layer.codebook = modeling.MimiEuclideanCodebook(config)
    model.semantic_residual_vector_quantizer.layers = torch.nn.ModuleList([layer])
    rows = mixture(2000, 6, 40)
    layer.codebook.embed_sum.copy_(torch.from_numpy(collapsed(rows, 16, 3)))
    stale = layer.codebook.embed.clone()
    made = repair_module_(model, rows)
    assert not torch.equal(layer.codebook.embed, stale)
    assert len(layer.codebook.quantize(torch.from_numpy(rows)).unique()) >= made.levels[0].after["usage.used"]


def test_found_again_under_the_same_name() -> None:
    source, quantizer, rows = one_sick()
    made = plan(source, quantizer, rows, TreatmentRequest("kmeans"))
    (again,) = find_quantizers(Patched(source, made.changes))
    assert again.name == quantizer.name
