"""Quantisers are found in live models by the layouts that read checkpoints, and by name where those know nothing."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from vector_quantize_pytorch import FSQ, GroupedResidualVQ, ResidualVQ, SimVQ, VectorQuantize
from watched_models import HandWritten, LevelsFirst, Net, Secretive

from vqdoctor.errors import UsageError
from vqdoctor.layouts import find_quantizers
from vqdoctor.layouts.module_source import ModuleSource
from vqdoctor.monitor.sites import find_sites
from vqdoctor.trainer.quantizers.residual import ResidualQuantizer
from vqdoctor.trainer.settings import QuantizerSettings

KNOWN = [
    (lambda: VectorQuantize(dim=8, codebook_size=16), (16,), 8),
    (lambda: VectorQuantize(dim=8, codebook_dim=4, codebook_size=16), (16,), 8),
    (lambda: VectorQuantize(dim=8, codebook_size=16, heads=2, separate_codebook_per_head=True), (16, 16), 8),
    (lambda: ResidualVQ(dim=8, codebook_size=16, num_quantizers=3), (16, 16, 16), 8),
    (lambda: ResidualVQ(dim=8, codebook_size=16, num_quantizers=2, shared_codebook=True), (16, 16), 8),
    (lambda: SimVQ(dim=8, codebook_size=16), (16,), 8),
    (lambda: ResidualQuantizer((16, 12), 8, QuantizerSettings()), (16, 12), 8),
    (HandWritten, (16,), 8),
]  # fmt: skip


@pytest.mark.parametrize(("make", "sizes", "width"), KNOWN)
def test_a_quantiser_is_found_in_a_model(make, sizes, width) -> None:
    model = Net(make())
    (site,) = find_sites(model)
    assert site.module is model.quantizer and site.name == "quantizer"
    assert site.sizes == sizes and site.widths[0] == width
    (wrapped,) = find_sites(nn.ModuleDict({"module": model}))
    assert wrapped.module is model.quantizer and wrapped.path == "module.quantizer"


@pytest.mark.parametrize(("make", "sizes", "width"), KNOWN[:-1])
def test_a_model_may_be_a_quantiser_itself(make, sizes, width) -> None:
    model = make()
    (site,) = find_sites(model)
    assert site.module is model and site.sizes == sizes


def test_groups_are_listened_to_one_by_one() -> None:
    model = Net(GroupedResidualVQ(dim=8, codebook_size=16, num_quantizers=2, groups=2))
    sites = find_sites(model)
    assert [site.path for site in sites] == ["quantizer.rvqs.0", "quantizer.rvqs.1"]
    assert all(site.widths[0] == 4 for site in sites)


def test_an_implicit_quantiser_states_its_size() -> None:
    (site,) = find_sites(Net(FSQ([5, 5]), width=2))
    assert (site.name, site.sizes, site.quantizer) == ("quantizer", (25,), None)


def test_named_modules_need_no_layout() -> None:
    model = nn.ModuleDict({"inner": LevelsFirst(levels=2)})
    with pytest.raises(UsageError, match="no quantiser was found"):
        find_sites(model)
    (site,) = find_sites(model, {"vq": "inner"})
    assert (site.name, site.path, site.sizes) == ("vq", "inner", (16,))
    (same,) = find_sites(model, {"vq": model["inner"]})
    assert same.path == "inner"
    (found,) = find_sites(Net(VectorQuantize(dim=8, codebook_size=16)), ["quantizer"])
    assert found.name == "quantizer"


@pytest.mark.parametrize(("told", "words"), [(["nowhere"], "no module nowhere"), (["encoder.act"], "holds no codebook")])
def test_a_wrong_name_is_said(told, words) -> None:
    model = Net(VectorQuantize(dim=8, codebook_size=16))
    model.encoder = nn.ModuleDict({"act": nn.ReLU()})
    with pytest.raises(UsageError, match=words):
        find_sites(model, told)
    with pytest.raises(UsageError, match="no part of the model"):
        find_sites(model, {"vq": Secretive()})


def test_a_live_model_reads_like_its_state_dict() -> None:
    model = Net(VectorQuantize(dim=8, codebook_size=16)).to(torch.bfloat16)
    source = ModuleSource(model)
    state = model.state_dict()
    assert set(source.specs) == set(state)
    for name, tensor in state.items():
        assert source.specs[name].shape == tuple(tensor.shape) and source.specs[name].dtype == str(tensor.dtype)[6:]
        assert torch.equal(torch.from_numpy(source.read(name)).to(tensor.dtype), tensor)
    with pytest.raises(KeyError):
        source.read("encoder.nothing")
    assert len(find_quantizers(source)) == 1


def test_a_buffer_that_was_replaced_is_read_anew() -> None:
    model = Net(ResidualQuantizer((4,), 8, QuantizerSettings(update="ema")))
    source = ModuleSource(model)
    model.quantizer.layers[0].codebook = torch.full((4, 8), 7.0)
    assert (source.read("quantizer.layers.0.codebook") == 7).all()
