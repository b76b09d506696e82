"""A watched run is the same run, and its log says what was really used."""

from __future__ import annotations

import copy
import sys
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from vector_quantize_pytorch import FSQ, ResidualVQ, VectorQuantize
from watched_models import (
    WAITING,
    Growing,
    HandWritten,
    LevelsFirst,
    Net,
    OneHot,
    Operations,
    Secretive,
    hooks,
    lines,
    unchanged,
)  # fmt: skip

import vqdoctor
from vqdoctor.errors import UsageError
from vqdoctor.trainer.quantizers.residual import ResidualQuantizer
from vqdoctor.trainer.settings import QuantizerSettings

SIX = {
    "ema.active", "usage.batch_utilization", "usage.batch_entropy_bits", "usage.batch_entropy_normalized", "ema.entropy_bits",
    "ema.entropy_normalized",
}  # fmt: skip


def lucidrains(**options) -> VectorQuantize:
    return VectorQuantize(dim=8, codebook_size=16, **options)


def trained(model: nn.Module, rows: torch.Tensor, steps: int, monitor=None) -> nn.Module:
    """A few real steps; the monitor is told of each."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(steps):
        values, _, losses = model(rows)
        loss = values.square().mean() + sum(losses.values() if isinstance(losses, dict) else [losses.sum()])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if monitor is not None:
            monitor.step(loss=loss, loss_commitment=0.5, lr=0.1)
    return model


def watched(folder, model, rows, steps=4, **options):
    """The log's metrics after `steps` forwards and reports every two."""
    with vqdoctor.Monitor(model, folder, every=2, clock=lambda: 5.0, **options) as monitor:
        for _ in range(steps):
            model(rows)
            monitor.step()
    return lines(folder / "log.jsonl", "metrics")


def test_a_run_leaves_every_kind_of_line(tmp_path) -> None:
    model, rows = Net(lucidrains()), torch.randn(3, 10, 8)
    with vqdoctor.Monitor(model, tmp_path, every=2, run="mine", config={"decay": 0.8}, clock=lambda: 5.0) as monitor:
        trained(model, rows, 5, monitor)
        monitor.event("kmeans-reinit", samples=30, codes=torch.tensor(16))
    found = lines(tmp_path / "log.jsonl")
    first = found[0]
    assert (first["schema"], first["kind"], first["run"], first["config"]["decay"]) == ("vqdoctor.log/1", "run", "mine", 0.8)
    assert first["config"]["monitor"]["quantizers"] == [
        {"name": "quantizer", "module": "quantizer", "layout": "lucidrains", "codes": [16]}
    ]
    metrics = [line for line in found if line["kind"] == "metrics"]
    assert [line["step"] for line in metrics] == [2, 4, 5]
    assert all(
        set(line["values"]) >= SIX and (line["quantizer"], line["level"], line["time"]) == ("quantizer", 0, 5.0) for line in metrics
    )
    assert all(metrics[-1]["values"][name] is not None for name in SIX)
    assert [line["values"]["usage.n"] for line in metrics] == [60, 60, 30]
    usage = [line for line in found if line["kind"] == "usage"]
    assert [sum(hits for _, hits in line["counts"]) for line in usage] == [60, 60, 30] and usage[0]["codes"] == 16
    scalars = [line for line in found if line["kind"] == "scalars"]
    assert set(scalars[0]["values"]) == {"loss", "loss.commitment", "lr"} and isinstance(scalars[0]["values"]["loss"], float)
    events = [line for line in found if line["kind"] == "event"]
    assert [line["event"] for line in events] == ["digest", "digest", "kmeans-reinit", "digest", "end"]
    assert events[2]["detail"] == {"samples": 30, "codes": 16}
    assert found[-1]["detail"] == {"reason": "finished"}


def test_counts_are_those_of_the_codes_that_the_model_returned(tmp_path) -> None:
    model, hits = Net(lucidrains()), np.zeros(16, int)
    with vqdoctor.Monitor(model, tmp_path / "run.jsonl", every=3) as monitor:
        for seed in range(3):
            codes = model(torch.randn(2, 9, 8, generator=torch.Generator().manual_seed(seed)))[1]
            hits += np.bincount(codes.flatten().numpy(), minlength=16)
            monitor.step()
    (line,) = lines(tmp_path / "run.jsonl", "usage")
    assert line["counts"] == [[code, hits[code]] for code in range(16) if hits[code]]


def test_ema_claims_are_those_of_the_model_at_the_report(tmp_path) -> None:
    """Two codes are used; the running counts still call all active, under the threshold that the live module holds."""
    model = Net(lucidrains(threshold_ema_dead_code=0, decay=0.99))
    nn.init.zeros_(model.encoder.weight)
    values = watched(tmp_path, model, torch.randn(2, 50, 8), steps=6)[-1]["values"]
    assert values["usage.utilization"] == 1 / 16
    assert values["ema.active"] == 16 and values["ema.threshold"] == 1e-5
    counts = model.quantizer._codebook.cluster_size[0].numpy().astype(float)
    shares = counts / counts.sum()
    assert values["ema.entropy_bits"] == pytest.approx(-(shares * np.log2(shares)).sum(), rel=1e-5)
    strict = Net(lucidrains(threshold_ema_dead_code=2, decay=0.99))
    assert watched(tmp_path / "strict", strict, torch.randn(2, 50, 8))[-1]["values"]["ema.threshold"] == 2


@pytest.mark.parametrize(
    ("quantizer", "rows", "sizes", "n"),
    [
        (lambda: ResidualVQ(dim=8, codebook_size=16, num_quantizers=3), torch.randn(2, 7, 8), [16] * 3, 14),
        (lambda: ResidualQuantizer((16, 12), 8, QuantizerSettings()), torch.randn(14, 8), [16, 12], 14),
        (lambda: lucidrains(heads=2, codebook_dim=4), torch.randn(2, 7, 8), [16], 28),
        (OneHot, torch.randn(14, 8), [16], 14),
    ],
    ids=["lucidrains residual", "ours", "heads that share a book", "one-hot"],
)
def test_every_level_is_counted(tmp_path, quantizer, rows, sizes, n) -> None:
    found = watched(tmp_path, Net(quantizer()), rows)
    assert [(line["level"], line["values"]["usage.n"]) for line in found[: len(sizes)]] == [(i, 2 * n) for i in range(len(sizes))]
    assert [line["codes"] for line in lines(tmp_path / "log.jsonl", "usage")][: len(sizes)] == sizes


def test_hand_written_modules_are_heard_and_claim_nothing(tmp_path) -> None:
    model = nn.ModuleDict({"bottleneck_vq": HandWritten()})
    with vqdoctor.Monitor(model, tmp_path, every=1, quantizers={"vq": "bottleneck_vq"}) as monitor:
        model["bottleneck_vq"](torch.randn(2, 8, 3, 3))
        monitor.step()
        assert monitor.features().shape == (18, 8)
    (line,) = lines(tmp_path / "log.jsonl", "metrics")
    assert line["quantizer"] == "vq" and line["values"]["usage.n"] == 18
    assert line["values"]["ema.active"] is None and line["values"]["ema.entropy_normalized"] is None


def test_levels_first_in_a_dataclass_and_implicit_ones(tmp_path) -> None:
    quantizer = LevelsFirst(levels=2)
    found = watched(tmp_path, quantizer, torch.randn(3, 5, 8), quantizers=[""])
    assert [(line["level"], line["values"]["usage.n"]) for line in found[:2]] == [(0, 30), (1, 30)]
    (fsq, *_) = watched(tmp_path / "fsq", Net(FSQ([5, 5]), width=2), torch.randn(3, 5, 2))
    assert fsq["values"]["usage.n"] == 30 and fsq["values"]["usage.utilization"] <= 1


def test_a_report_before_the_first_forward_costs_no_level(tmp_path) -> None:
    model = LevelsFirst(levels=2)
    with vqdoctor.Monitor(model, tmp_path, every=1, quantizers=[""]) as monitor:
        monitor.step(loss=1.0)
        model(torch.randn(3, 5, 8))
        monitor.step(loss=1.0)
    assert [(line["level"], line["values"]["usage.n"]) for line in lines(tmp_path / "log.jsonl", "metrics")] == [(0, 15), (1, 15)]


def test_one_hot_rows_are_heard_from_modules_that_were_named(tmp_path) -> None:
    model = nn.ModuleDict({"inner": OneHot()})
    with vqdoctor.Monitor(model, tmp_path, every=1, quantizers=["inner"]) as monitor:
        model["inner"](torch.randn(15, 8))
        monitor.step()
    assert lines(tmp_path / "log.jsonl", "metrics")[0]["values"]["usage.n"] == 15


def test_evaluation_is_not_counted_unless_asked(tmp_path) -> None:
    model, rows = Net(lucidrains()), torch.randn(2, 5, 8)
    for name, options, n in [("a", {}, 10), ("b", {"evaluations": True}, 20)]:
        with vqdoctor.Monitor(model, tmp_path / name, **options):
            model.train()(rows)
            model.eval()(rows)
        assert lines(tmp_path / name / "log.jsonl", "metrics")[0]["values"]["usage.n"] == n


def test_without_step_every_training_forward_is_one(tmp_path) -> None:
    model = Net(lucidrains())
    with vqdoctor.Monitor(model, tmp_path, every=2):
        for _ in range(5):
            model(torch.randn(2, 5, 8))
    assert [line["step"] for line in lines(tmp_path / "log.jsonl", "metrics")] == [2, 4, 5]


def test_steps_may_be_numbered_by_the_caller(tmp_path) -> None:
    model = Net(lucidrains())
    with vqdoctor.Monitor(model, tmp_path, every=100) as monitor:
        for number in (1199, 1200, 1201):
            model(torch.randn(2, 5, 8))
            monitor.step(number)
    assert [line["step"] for line in lines(tmp_path / "log.jsonl", "metrics")] == [1200, 1201]


def test_a_watched_run_is_the_same_run(tmp_path) -> None:
    rows = torch.randn(3, 10, 8)
    torch.manual_seed(1)
    bare = trained(Net(lucidrains(threshold_ema_dead_code=2)), rows, 4)
    torch.manual_seed(1)
    model = Net(lucidrains(threshold_ema_dead_code=2))
    with vqdoctor.Monitor(model, tmp_path, every=2) as monitor:
        trained(model, rows, 4, monitor)
    for name, tensor in bare.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name]), name


def test_hooks_are_gone_at_the_end(tmp_path) -> None:
    model = Net(ResidualVQ(dim=8, codebook_size=16, num_quantizers=2))
    with unchanged(model):
        monitor = vqdoctor.Monitor(model, tmp_path)
        assert hooks(model) > 0
        model(torch.randn(1, 3, 8))
        monitor.close()
        monitor.close()
    assert len(lines(tmp_path / "log.jsonl", "event")) == 3  # two books' digests, one end


def test_a_copy_of_the_model_is_not_watched(tmp_path) -> None:
    model = Net(lucidrains())
    with vqdoctor.Monitor(model, tmp_path, every=1) as monitor:
        model(torch.randn(1, 3, 8))
        copy.deepcopy(model)(torch.randn(1, 50, 8))
        monitor.step()
    assert lines(tmp_path / "log.jsonl", "metrics")[0]["values"]["usage.n"] == 3


def test_a_crash_leaves_all_that_was_heard_and_the_reason(tmp_path) -> None:
    model = Net(lucidrains())
    with pytest.raises(RuntimeError, match="boom"), vqdoctor.Monitor(model, tmp_path, every=2) as monitor:
        for step in range(4):
            model(torch.randn(1, 5, 8))
            if step == 3:
                raise RuntimeError("boom\x1b[2J")
            monitor.step(loss=1.0)
    found = lines(tmp_path / "log.jsonl")
    assert [line["step"] for line in found if line["kind"] == "metrics"] == [2, 3]
    assert found[-1]["event"] == "end" and found[-1]["detail"] == {"reason": "error", "error": "RuntimeError: boom\\x1b[2J"}
    assert hooks(model) == 0


def test_a_line_that_a_crash_cut_off_spoils_no_other(tmp_path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text('{"schema":"vqdoctor.log/1","kind":"run"}\n{"kind":"metr')
    with vqdoctor.Monitor(Net(lucidrains()), tmp_path) as monitor:
        monitor.event("skipped", reason="a test")
    raw = log.read_text().splitlines()
    assert raw[1] == '{"kind":"metr' and '"skipped"' in raw[2]


def test_between_reports_nothing_waits_for_the_device(tmp_path) -> None:
    model, rows = Net(lucidrains()).eval(), torch.randn(2, 50, 8)
    with Operations() as bare:
        model(rows)
    with vqdoctor.Monitor(model, tmp_path, every=100, evaluations=True) as monitor:
        model(rows)  # where the codes are is found out once
        with Operations() as asked:
            for _ in range(3):
                model(rows)
                monitor.step(loss=torch.ones(()))
    extra = set(asked.names) - set(bare.names)
    assert "index_add_" in extra and not WAITING & extra


def test_what_cannot_be_heard_is_said_once_and_stops_nothing(tmp_path) -> None:
    model = Net(Secretive())
    with vqdoctor.Monitor(model, tmp_path, every=1) as monitor:
        with pytest.warns(RuntimeWarning, match="no longer listens to quantizer: LookupError"):
            model(torch.randn(4, 8))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model(torch.randn(4, 8))
            monitor.step(loss=1.0)
    assert not lines(tmp_path / "log.jsonl", "metrics") and lines(tmp_path / "log.jsonl", "scalars")


def test_a_quantiser_that_was_never_heard_is_said(tmp_path) -> None:
    silent = pytest.warns(RuntimeWarning, match="heard no training forward of quantizer")
    with silent, vqdoctor.Monitor(Net(lucidrains()), tmp_path) as monitor:
        monitor.step(loss=1.0)


def test_compiled_models_are_heard_step_by_step(tmp_path) -> None:
    torch.compiler.reset()
    model = Net(Growing())
    compiled = torch.compile(model, backend="eager")
    with vqdoctor.Monitor(model, tmp_path, every=2) as monitor:
        for _ in range(4):
            compiled(torch.randn(10, 8))
            monitor.step()
    assert [line["values"]["usage.n"] for line in lines(tmp_path / "log.jsonl", "metrics")] == [20, 20]
    with pytest.warns(RuntimeWarning, match="compiled before"), vqdoctor.Monitor(model, tmp_path) as monitor:
        monitor.step()


def test_a_full_disk_stops_nothing(tmp_path, monkeypatch) -> None:
    model = Net(lucidrains())
    with vqdoctor.Monitor(model, tmp_path, every=1) as monitor:
        model(torch.randn(1, 5, 8))
        with monkeypatch.context() as broken:
            broken.setattr("vqdoctor.monitor.log.LogWriter.scalars", _no_space)
            with pytest.warns(RuntimeWarning, match="No space left"):
                monitor.step(loss=1.0)


def _no_space(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_book_that_grows_is_followed(tmp_path) -> None:
    model, rows = Net(Growing()), torch.randn(50, 8)
    with vqdoctor.Monitor(model, tmp_path, every=1) as monitor:
        for grow in (False, True, False):
            if grow:
                model.quantizer.grow()
            model(rows)
            monitor.step()
    assert [line["codes"] for line in lines(tmp_path / "log.jsonl", "usage")] == [4, 8, 8]
    (expanded,) = [line for line in lines(tmp_path / "log.jsonl", "event") if line["event"] == "expanded"]
    assert expanded["detail"] == {"quantizer": "quantizer", "codes_before": [4], "codes": [8]}


def test_recent_inputs_are_sampled(tmp_path) -> None:
    model = Net(nn.Sequential())
    model.quantizer = lucidrains()
    nn.init.eye_(model.encoder.weight)
    nn.init.zeros_(model.encoder.bias)
    with vqdoctor.Monitor(model, tmp_path, every=2, reservoir=30) as monitor:
        with pytest.raises(UsageError, match="no rows were kept"):
            monitor.features()
        for step in range(7):
            model(torch.full((2, 10, 8), float(step)))
            monitor.step()
        sampled = monitor.features()[:, 0]
        assert len(sampled) == 30
        assert set(sampled) <= {4.0, 5.0}  # steps 0–3 were turned out, step 6 alone fills no reservoir
        with pytest.raises(UsageError, match="no quantiser other is watched: quantizer"):
            monitor.features("other")


def test_features_are_saved_where_inspect_finds_them(tmp_path) -> None:
    model, rows = Net(lucidrains()), torch.randn(40, 20, 8)
    with vqdoctor.Monitor(model, tmp_path, every=2) as monitor:
        trained(model, rows, 4, monitor)
        torch.save(model.state_dict(), tmp_path / "last.pt")
        assert monitor.save_features(tmp_path / "last.pt") == tmp_path / "last.features.npy"
    report = vqdoctor.inspect(str(tmp_path / "last.pt"))
    assert report.sample is not None and report.sample.n == 3200 and not report.sample.population
    assert report.source.warnings == ()
    event = next(line for line in lines(tmp_path / "log.jsonl", "event") if line["event"] == "checkpoint")
    assert event["detail"] == {"file": "last.pt", "features": "last.features.npy"}


@pytest.mark.parametrize("asked", [None, True])
def test_tensorboard_gets_the_same_numbers_and_watch_no_second_run(tmp_path, asked) -> None:
    pytest.importorskip("tensorboard")
    values = watched(tmp_path, Net(lucidrains()), torch.randn(1, 5, 8), tensorboard=asked)[-1]["values"]
    [events] = tmp_path.glob("events.out.tfevents.*")
    [run] = vqdoctor.watch_once(events).runs
    assert run.reader == "tensorboard"
    [series] = [one for one in run.series if one.meaning.metric == "usage.utilization" and one.key.level in (0, None)][:1]
    assert series.values[-1] == np.float32(values["usage.utilization"])
    [run] = vqdoctor.watch_once(tmp_path).runs
    assert run.reader == "vqdoctor.log/1"


def test_without_tensorboard_only_the_log_is_written_and_said_to_who_asked(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.warns(RuntimeWarning, match="nothing is written for TensorBoard, only the log"):
        assert watched(tmp_path / "asked", Net(lucidrains()), torch.randn(1, 5, 8), tensorboard=True)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert watched(tmp_path / "silent", Net(lucidrains()), torch.randn(1, 5, 8))
        assert watched(tmp_path / "never", Net(lucidrains()), torch.randn(1, 5, 8), tensorboard=False)
    assert not list(tmp_path.rglob("events.out.*"))


def test_other_ranks_write_nothing(tmp_path) -> None:
    model = Net(lucidrains())
    with vqdoctor.Monitor(model, tmp_path / "logs", every=1, rank=1) as monitor:
        model(torch.randn(1, 5, 8))
        monitor.step(loss=1.0)
        monitor.event("dead-reset", codes=1)
        assert monitor.save_features(tmp_path / "last.pt") is None
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("options", [{"every": 0}, {"reservoir": -1}])
def test_impossible_settings_are_refused(tmp_path, options) -> None:
    with pytest.raises(UsageError):
        vqdoctor.Monitor(Net(lucidrains()), tmp_path, **options)
