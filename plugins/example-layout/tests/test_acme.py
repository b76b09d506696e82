"""What a layout must do: recognise its checkpoints and no others, read the effective codes, write back what it read unchanged."""

import numpy as np

import vqdoctor
from vqdoctor.layouts import codes, ema_counts, find_quantizers, state_for
from vqdoctor.model import laplace

K, D = 8, 4


def checkpoint(path):
    """Two levels with known codes and counts, beside tensors that are no codebooks."""
    rng = np.random.default_rng(0)
    tensors, books = {"encoder.weight": rng.normal(size=(D, K)).astype("f4")}, []
    for level in range(2):
        book, hits = rng.normal(size=(K, D)).astype("f4"), rng.uniform(2, 9, K).astype("f4")
        stem = f"tokenizer.levels.{level}."
        tensors |= {stem + "table": book.T, stem + "hits": hits, stem + "mass": (book * laplace(hits)[:, None]).T.astype("f4")}
        books.append(book)
    np.savez(path, **tensors)
    return books


def test_it_is_found_through_the_entry_point_and_read_as_it_is(tmp_path):
    books = checkpoint(tmp_path / "acme.npz")
    source = vqdoctor.load(tmp_path / "acme.npz")
    (found,) = find_quantizers(source)
    assert (found.layout, found.structure, found.name) == ("acme-tokenizer", "residual", "tokenizer")
    for level, book in zip(found.levels, books, strict=True):
        np.testing.assert_array_equal(codes(source, level), book)


def test_writing_what_was_read_changes_nothing(tmp_path):
    checkpoint(tmp_path / "acme.npz")
    source = vqdoctor.load(tmp_path / "acme.npz")
    (found,) = find_quantizers(source)
    for level in found.levels:
        for write in state_for(source, found, level, np.arange(K), codes(source, level), ema_counts(source, level)):
            before = source.read(write.where.name)
            after = before.copy()
            write.apply(after)
            np.testing.assert_allclose(after, before, rtol=1e-5)


def test_a_checkpoint_without_its_sums_is_not_taken(tmp_path):
    np.savez(tmp_path / "other.npz", **{"tokenizer.levels.0.table": np.zeros((D, K), "f4")})
    assert not [one for one in find_quantizers(vqdoctor.load(tmp_path / "other.npz")) if one.layout == "acme-tokenizer"]


def test_inspect_judges_it(tmp_path):
    checkpoint(tmp_path / "acme.npz")
    report = vqdoctor.inspect(tmp_path / "acme.npz")
    assert report.quantizers[0].levels[0].metrics["ema.active"] == K
