"""Lines as known programs print them, and what must be read from each (exact lines: the sources of those programs)."""

from __future__ import annotations

import pytest

from vqdoctor.logs import Log
from vqdoctor.logs.readers.text import Text
from vqdoctor.model import Event

STAMP = "2025-01-02 03:04:05,678 - INFO - "


def read(text: str | bytes, name: str = "train.log") -> Log:
    log = Log(name)
    log.feed(text if isinstance(text, bytes) else text.encode())
    log.finish()
    return log


def curves(log: Log) -> dict[str, tuple]:
    """label → (metric or scalar, level, scope, steps, values) of what has a meaning here."""
    found = {}
    for series in log.store.series():
        meaning = series.meaning
        if meaning.metric or meaning.scalar:
            where = (meaning.metric or meaning.scalar, meaning.level, meaning.scope)
            found[series.key.label] = (*where, series.steps.tolist(), [round(value, 6) for value in series.values.tolist()])
    return found


def llamagen(step, generator, loss):
    return (
        f"[\x1b[34m2024-01-01 00:00:00\x1b[0m] (Generator) {generator}, disc_weight: 0.5000\n"
        "[\x1b[34m2024-01-01 00:00:01\x1b[0m] (Discriminator) disc_weight: 0.2500, logits_real: 0.1, logits_fake: 0.2\n"
        f"[\x1b[34m2024-01-01 00:00:02\x1b[0m] (step={step:07d}) Train Loss: {loss}, Train Steps/Sec: 3.45\n"
    )


LLAMAGEN = (
    "[2024-01-01 00:00:00] Namespace(data_path='/x=1,y=2)', codebook_size=16384, ema=True, vq_ckpt=None, lr=0.0001, seed=-1)\n"
    "[2024-01-01 00:00:00] VQ Model Parameters: 71,882,955\n[2024-01-01 00:00:00] Beginning epoch 0...\n"
    + llamagen(100, "rec_loss: 0.1, vq_loss: 0.3, commit_loss: 0.4, entropy_loss: 0.0, codebook_usage: 0.9731", 1.2345)
    + llamagen(200, "rec_loss: 0.09, vq_loss: 0.2, commit_loss: 0.3, entropy_loss: 0.0, codebook_usage: 0.95", 1.1)
)

PROGRAMS = {
    "MiniOneRec, LC-Rec, LETTER": (
        "DEBUG:root:\x1b[1;33mepoch 0 training\x1b[0m [\x1b[1;32mtime\x1b[0m: 1.23s, \x1b[1;34mtrain loss\x1b[0m: 4.5600, "
        "reconstruction loss: 0.1200, cf loss: 0.5]\n"
        "INFO:root:epoch 0 evaluating [time: 0.50s, collision_rate: 0.123456]\n"
        "epoch 1 training [time: 1.23s, train loss: 4.1, reconstruction loss: 0.11]\n"
        "epoch 1 evaluating [time: 0.50s, collision_rate: 0.1]\nBest Loss 4.1\nBest Collision Rate 0.1\n"
        + STAMP + "RQ-KMeans+ Final Result -> Loss: 0.5, Collision Rate: 0.02\n",
        {
            "train loss (train)": ("loss", None, "train", [0, 1], [4.56, 4.1]),
            "reconstruction loss (train)": ("loss.reconstruction", None, "train", [0, 1], [0.12, 0.11]),
            "collision_rate (validation)": ("collision.rate", None, "validation", [0, 1], [0.123456, 0.1]),
            "Best Loss (best)": ("loss", None, "best", [1], [4.1]),
            "Best Collision Rate (best)": ("collision.rate", None, "best", [1], [0.1]),
            "Loss (last)": ("loss", None, "last", [1], [0.5]),
            "Collision Rate (last)": ("collision.rate", None, "last", [1], [0.02]),
        },
    ),
    "MiniOneRec index scripts": (
        "All indices number:  3883\nMax number of conflicts:  7\nCollision Rate 0.134\n",
        {
            "All indices number": ("collision.items", None, None, [0], [3883]),
            "Max number of conflicts": ("collision.max_group", None, None, [0], [7]),
            "Collision Rate": ("collision.rate", None, None, [0], [0.134]),
        },
    ),
    "rqkmeans_faiss counts levels from 1": (
        "  total=3883\n  L1: unique=256\n  L2: unique=255\n  unique full-paths=3359  collision_rate=0.1349\n",
        {
            "total": ("collision.items", None, None, [0], [3883]),
            "[0]:unique": ("usage.used", 0, None, [0], [256]),
            "[1]:unique": ("usage.used", 1, None, [0], [255]),
            "unique full-paths": ("collision.unique", None, None, [0], [3359]),
            "collision_rate": ("collision.rate", None, None, [0], [0.1349]),
        },
    ),
    "a level 0 says that it counts from 0": (
        "  Level 0: unique codes = 12\n  Level 1: unique codes = 11\n  Unique full-paths: 30\n",
        {
            "[0]:unique codes": ("usage.used", 0, None, [0], [12]),
            "[1]:unique codes": ("usage.used", 1, None, [0], [11]),
            "Unique full-paths": ("collision.unique", None, None, [0], [30]),
        },
    ),
    "LlamaGen says its losses before it has counted the step": (
        LLAMAGEN,
        {
            "rec_loss": ("loss.reconstruction", None, None, [100, 200], [0.1, 0.09]),
            "vq_loss": ("loss.codebook", None, None, [100, 200], [0.3, 0.2]),
            "commit_loss": ("loss.commitment", None, None, [100, 200], [0.4, 0.3]),
            "entropy_loss": ("loss.entropy", None, None, [100, 200], [0.0, 0.0]),
            "codebook_usage": ("usage.utilization", None, None, [100, 200], [0.9731, 0.95]),
            "Train Loss": ("loss", None, "train", [100, 200], [1.2345, 1.1]),
        },
    ),
    "LlamaGen without its steps": (
        "(Generator) rec_loss: 0.1, codebook_usage: 0.5\n(Discriminator) logits_real: 1\n(Generator) rec_loss: 0.2, codebook_usage: 0.6\n",
        {
            "rec_loss": ("loss.reconstruction", None, None, [0, 1], [0.1, 0.2]),
            "codebook_usage": ("usage.utilization", None, None, [0, 1], [0.5, 0.6]),
        },
    ),
    "vector-quantize-pytorch examples": (
        "rec loss: 0.083 | cmt loss: 0.002 | active %: 42.188:  12%|█▏        | 120/1000 [00:01<00:12, 70.1it/s]\r"
        "rec loss: 0.080 | cmt loss: 0.003 | active %: 3.500:  13%|█▏        | 130/1000 [00:01<00:12, 70.1it/s]\n",
        {
            "rec loss": ("loss.reconstruction", None, None, [120, 130], [0.083, 0.08]),
            "cmt loss": ("loss.commitment", None, None, [120, 130], [0.002, 0.003]),
            "active %": ("usage.batch_utilization", None, None, [120, 130], [0.42188, 0.035]),
        },
    ),
    "audiocraft (flashy)": (
        "[\x1b[36m09-15 12:01:02\x1b[0m][\x1b[34mflashy.solver\x1b[0m][\x1b[32mINFO\x1b[0m] - Train | Epoch 1 | 1000/2000 | 1.23 it/sec | "
        "bandwidth 6.000 | penalty 0.250 | l1 5.0E-01\n"
        "[09-15 12:01:02][flashy.solver][INFO] - \x1b[1mTrain Summary | Epoch 1 | bandwidth=6.000 | l1=0.400\x1b[0m\n"
        "[09-15 12:01:02][flashy.solver][INFO] - Valid | Epoch 1 | 50/100 | 12.3 ms/it | l1 0.600\n"
        "[09-15 12:01:02][flashy.solver][INFO] - \x1b[1mValid Summary | Epoch 1 | l1=0.600\x1b[0m\n"
        "[09-15 12:01:02][flashy.solver][INFO] - Train | Epoch 2 | 500/2000 | 1.23 it/sec | l1 0.300\n",
        {
            "l1 (train)": ("loss.reconstruction", None, "train", [0.5, 1, 1.25], [0.5, 0.4, 0.3]),
            "l1 (validation)": ("loss.reconstruction", None, "validation", [0.5, 1], [0.6, 0.6]),
        },
    ),
    "DAC (audiotools)": (
        "".join(
            f"[10:30:10]                 Iteration {step}                  decorators.py:203\n              train       \n"
            "     key                │ value        │ mean    \n   ╶────────────────────┼──────────────┼──────╴\n"
            f"     vq/commitment_loss │   0.{step + 100}000 │   0.550000        \n     loss               │  30.123456   │  33.135802     \n"
            "               ╵                    ╵    \n                val      \n"
            f"     vq/commitment_loss │   0.{step + 200}000 │   0.550000        \n"
            for step in (0, 250)
        ),
        {
            "vq/commitment_loss (train)": ("loss.commitment", None, "train", [0, 250], [0.1, 0.35]),
            "loss (train)": ("loss", None, "train", [0, 250], [30.123456, 30.123456]),
            "vq/commitment_loss (validation)": ("loss.commitment", None, "validation", [0, 250], [0.2, 0.45]),
        },
    ),
    "nanoGPT and many others": (
        "step 0: train loss 4.0, val loss 4.1, vq perplexity 100.0\nstep 250: train loss 2.0, val loss 2.1, vq perplexity 120.0\n"
        "iter 250: loss 2.0, time 12.3ms\nnumber of parameters 12, loss 5\n",
        {
            "train loss": ("loss", None, "train", [0, 250], [4.0, 2.0]),
            "val loss": ("loss", None, "validation", [0, 250], [4.1, 2.1]),
            "vq perplexity": ("usage.batch_perplexity", None, None, [0, 250], [100.0, 120.0]),
            "loss": ("loss", None, None, [250], [2.0]),
        },
    ),
    "tutorials: Epoch [1/10], Step [100/600]": (
        "".join(f"Epoch [{epoch}/10], Step [{step}/600], Loss: 0.{epoch}, Codebook Usage (%): 45.5\n" for epoch in (1, 2) for step in (300, 600)),
        {
            "Loss": ("loss", None, None, [300, 600, 900, 1200], [0.1, 0.1, 0.2, 0.2]),
            "Codebook Usage %": ("usage.utilization", None, None, [300, 600, 900, 1200], [0.455] * 4),
        },
    ),
    "VAR, in its own counters": (
        "".join(f"[Ep]: [  {epoch}/350]  [ {it:3d}/200]  eta: 0:10:11  tlr: 3.2e-05  Lm: 7.1 (8.0)\n" for epoch in (0, 1) for it in (0, 100)),
        {"tlr": ("lr", None, None, [0, 100, 200, 300], [3.2e-05] * 4)},
    ),
    "PyTorch's examples": (
        "".join(f"Train Epoch: {epoch} [{done}/60000 ({done // 600}%)]\tLoss: 0.5\n" for epoch in (1, 2) for done in (0, 30000)),
        {"Loss (train)": ("loss", None, "train", [0, 30000, 60000, 90000], [0.5] * 4)},
    ),
    "a line a level": (
        "step=10 vq_loss=0.5\n  Level 0: perplexity=41.1 dead=3\n  Level 1: perplexity=31.5 dead=5\n"
        "INFO - quantizer 1: ppl: 30.5\n",
        {
            "vq_loss": ("loss.codebook", None, None, [10], [0.5]),
            "[0]:perplexity": ("usage.batch_perplexity", 0, None, [10], [41.1]),
            "[1]:perplexity": ("usage.batch_perplexity", 1, None, [10], [31.5]),
            "[1]:ppl": ("usage.batch_perplexity", 1, None, [10], [30.5]),
        },
    ),
    "loguru": (
        "2024-01-01 00:00:00.123 | INFO     | __main__:train:42 - step=5 loss=0.5 perplexity=10 vq_loss=0.1\n"
        "2024-01-01 00:00:00 train.py:45 INFO step=6 loss=0.4\n",
        {
            "loss": ("loss", None, None, [5, 6], [0.5, 0.4]),
            "perplexity": ("usage.batch_perplexity", None, None, [5], [10]),
            "vq_loss": ("loss.codebook", None, None, [5], [0.1]),
        },
    ),
    "BEiT v2": (
        "Unused code in codebook: 37\nSTAT:  12 tokens (1.17%) never are used in this codebook.\n",
        {
            "Unused code in codebook": ("usage.unseen", None, None, [0], [37]),
            "tokens never are used in this codebook": ("usage.unseen", None, None, [0], [12]),
        },
    ),
    "VQFR": (
        "2022-08-01 12:00:00,123 INFO: [exp..][epoch:  1, iter:   1,000, lr:(1.000e-04,)] [eta: 1 day, 2:03:04, time (data): 0.345 "
        "(0.001)] l_pix: 1.2345e-01\n"
        "2022-08-01 12:00:00,123 INFO: codebook_usage:\n2022-08-01 12:00:00,124 INFO: {'Level_32': '0.98', 'Level_16': '0.5'}\n"
        "2022-08-01 12:00:00,123 INFO: [exp..][epoch:  1, iter:   2,000, lr:(1.000e-04,)]\n"
        "2022-08-01 12:00:00,123 INFO: codebook_usage: {'Level_32': '0.97'}\n",
        {
            "lr": ("lr", None, None, [1000, 2000], [1e-4, 1e-4]),
            "codebook_usage.Level_32": ("usage.utilization", None, "validation", [1000, 2000], [0.98, 0.97]),
            "codebook_usage.Level_16": ("usage.utilization", None, "validation", [1000], [0.5]),
        },
    ),
    "zalando": (
        "1000 iterations\nrecon_error: 0.123\nperplexity: 45.678\n\n2000 iterations\nrecon_error: 0.103\nperplexity: 55.678\n",
        {
            "recon_error": ("loss.reconstruction", None, None, [1000, 2000], [0.123, 0.103]),
            "perplexity": ("usage.batch_perplexity", None, None, [1000, 2000], [45.678, 55.678]),
        },
    ),
    "rosinality": (
        "\repoch: 1; mse: 0.01234; latent: 0.012; lr: 0.00030:  45%|████▌     | 450/1000 [00:12<00:15, 35.2it/s]"
        "\repoch: 1; mse: 0.01134; latent: 0.012; lr: 0.00030: 100%|█████| 1000/1000 [00:28<00:00, 35.2it/s]\n"
        "\repoch: 2; mse: 0.01; latent: 0.012; lr: 0.00030:   1%|▏         | 10/1000 [00:00<00:15, 35.2it/s]\n",
        {
            "mse": ("loss.reconstruction", None, None, [450, 1000, 1010], [0.01234, 0.01134, 0.01]),
            "latent": ("loss.codebook", None, None, [450, 1000, 1010], [0.012, 0.012, 0.012]),
            "lr": ("lr", None, None, [450, 1000, 1010], [3e-4, 3e-4, 3e-4]),
        },
    ),
    "kakaobrain": (
        "ep:1, train     , loss_total: 0.1, loss_recon: 0.2, loss_latent: 0.3, w/o pad entropy-level-0: [7.0, 6.0], "
        "w/o pad entropy-level-1: [5.0], \nep:1, valid     , loss_total: 0.2, w/o pad entropy-level-0: [7.0, 6.0], \n",
        {
            "loss_total (train)": ("loss", None, "train", [1], [0.1]),
            "loss_recon (train)": ("loss.reconstruction", None, "train", [1], [0.2]),
            "loss_latent (train)": ("loss.codebook", None, "train", [1], [0.3]),
            "w/o pad entropy-level-0.0 (train)": ("usage.entropy_bits", 0, "train", [1], [10.098865]),
            "w/o pad entropy-level-0.1 (train)": ("usage.entropy_bits", 0, "train", [1], [8.65617]),
            "w/o pad entropy-level-1.0 (train)": ("usage.entropy_bits", 1, "train", [1], [7.213475]),
            "loss_total (validation)": ("loss", None, "validation", [1], [0.2]),
            "w/o pad entropy-level-0.0 (validation)": ("usage.entropy_bits", 0, "validation", [1], [10.098865]),
            "w/o pad entropy-level-0.1 (validation)": ("usage.entropy_bits", 0, "validation", [1], [8.65617]),
        },
    ),
    "T2M-GPT": (
        "2022-01-01 00:00:00,1 INFO Warmup. Iter 100 :  lr 0.00010 \t Commit. 0.01234 \t PPL. 300.67 \t Recons.  0.02234\n"
        "2022-01-01 00:00:00,1 INFO Train. Iter 1000 : \t Commit. 0.01234 \t PPL. 345.67 \t Recons.  0.01234\n",
        {
            "lr": ("lr", None, None, [100], [1e-4]),
            "Commit": ("loss.commitment", None, None, [100], [0.01234]),
            "PPL": ("usage.batch_perplexity", None, None, [100], [300.67]),
            "Recons": ("loss.reconstruction", None, None, [100], [0.02234]),
            "Commit (train)": ("loss.commitment", None, "train", [1000], [0.01234]),
            "PPL (train)": ("usage.batch_perplexity", None, "train", [1000], [345.67]),
            "Recons (train)": ("loss.reconstruction", None, "train", [1000], [0.01234]),
        },
    ),
    "SpeechTokenizer": (
        "Epoch 3 -- Step 150: Gen Loss: 1.2; Mel Error:0.34; Q Loss: 0.01; Distill Loss: 0.5; Time cost per step: 0.345s\n",
        {"Q Loss": ("loss.codebook", None, None, [150], [0.01])},
    ),
    "RQ-VAE semantic IDs": (
        "[2025-12-27 14:37:06,591][__main__][INFO] - 映射表构建完成:\n"
        "[2025-12-27 14:37:06,591][__main__][INFO] -   - 物品总数: 3883\n===== 最后一轮模型统计 =====\n  - 唯一SID数量: 3359\n"
        "  - 冲突物品数: 524\n  - 语义ID长度: 4\n===== 最佳模型统计 =====\n已加载最佳模型 (Epoch 37)\n  - 唯一SID数量: 3400\n"
        "  - 冲突物品数: 483\n  - Vocab 大小: 236\n",
        {
            "物品总数": ("collision.items", None, None, [0], [3883]),
            "唯一SID数量 (last)": ("collision.unique", None, "last", [0], [3359]),
            "冲突物品数 (last)": ("collision.excess", None, "last", [0], [524]),
            "唯一SID数量 (best)": ("collision.unique", None, "best", [0], [3400]),
            "冲突物品数 (best)": ("collision.excess", None, "best", [0], [483]),
        },
    ),
    "IBQ, SimVQ": (
        "codebook loss: 0.1\nutilization 0.96\nutilization: 0.95\n",
        {
            "codebook loss": ("loss.codebook", None, None, [0], [0.1]),
            "utilization": ("usage.utilization", None, None, [0, 1], [0.96, 0.95]),
        },
    ),
    "improved VQ-VAE": (
        "活跃码元(累积EMA): 512\n实际码本利用率(当前批次): 0.4%\n当前批次归一化熵: 0.12\n累积归一化熵=0.99\n累积熵值: 6.2\n",
        {
            "活跃码元(累积EMA)": ("ema.active", None, None, [0], [512]),
            "实际码本利用率(当前批次) %": ("usage.batch_utilization", None, None, [0], [0.004]),
            "当前批次归一化熵": ("usage.batch_entropy_normalized", None, None, [0], [0.12]),
            "累积归一化熵": ("ema.entropy_normalized", None, None, [0], [0.99]),
        },
    ),
    "Jukebox": (
        " 10%|█         | 1/10 [00:01<00:09,  1.1it/s, e=4.158883, u=1900, uc=800, dk=0.1, pn=1.2]\r",
        {
            "e": ("usage.batch_entropy_bits", None, None, [1], [6.0]),
            "u": ("ema.active", None, None, [1], [1900]),
            "uc": ("usage.batch_used", None, None, [1], [800]),
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS)
def test_lines_of(program):
    text, expected = PROGRAMS[program]
    assert curves(read(text)) == expected


def events(text):
    return [(event.kind, event.step, dict(event.detail)) for event in read(text).store.events]


def test_kmeans_lines():
    assert events(
        "[K-means 重估计] 已启用，间隔=2000步，水塘容量=16384\nstep 2000 loss: 0.5\n"
        "[K-means 重估计] 开始，使用 16384 个样本重建 8192 个码本向量...\n[K-means 重估计] 完成！码本已更新\n"
        "step 4000 loss: 0.5\n[K-means 重估计] 跳过：样本数不足 (5000 < 8192)\n"
    ) == [
        ("kmeans-enabled", None, {"interval": 2000, "reservoir": 16384}),
        ("kmeans-begin", 2000, {"samples": 16384, "codes": 8192}),
        ("kmeans-reinit", 2000, {"samples": 16384, "codes": 8192}),
        ("skipped", 4000, {"reason": "样本数不足", "samples": 5000, "codes": 8192}),
    ]


def test_kmeans_lines_that_say_less_are_events_all_the_same():
    assert events(
        "[K-means 重估计] 已启用\nstep 5 loss: 1\n[K-means 重估计] 开始\n[K-means 重估计] 完成\n"
        "[K-means 重估计] 跳过: 5000 < 8192\n[K-means 重估计] 跳过\n[K-means 重估计] 跳过：样本数不足\n"
    ) == [
        ("kmeans-enabled", None, {}), ("kmeans-begin", 5, {}), ("kmeans-reinit", 5, {}),
        ("skipped", 5, {"samples": 5000, "codes": 8192}), ("skipped", 5, {}), ("skipped", 5, {"reason": "样本数不足"}),
    ]  # fmt: skip


@pytest.mark.parametrize("line", ["active codes: 45/512 (8.8%)", "perplexity: 45.2 / 512", "used_codes=3/512, loss: 1/9"])
def test_so_many_of_a_book_tell_its_size_whatever_they_are_called(line):
    assert [event.detail for event in read(f"{line}\n{line}\n").store.events] == [{"codes": 512}]


def test_an_epoch_with_one_bar_at_the_same_place_goes_on():
    text = "".join(f"Epoch: [{epoch}]  [ 10/500]  loss: 0.5\n" for epoch in (0, 1, 2))
    assert steps_and_values(text, "loss")[0] == [10, 510, 1010]


def test_a_line_that_says_only_done_ends_the_run():
    assert events("step: 5, loss: 1\nLoading images... Done!\nDone! 5 left\n[2024-01-01 00:00:00] Done!\n") == [("end", 5, {})]


def test_arguments_of_a_program_are_its_settings_and_no_curves():
    log = read(LLAMAGEN)
    config = {"codebook_size": 16384, "ema": True, "vq_ckpt": None, "lr": 0.0001, "seed": -1.0}
    assert [event for event in log.store.events if event.kind == "run"] == [Event("run", None, {"config": config})]
    assert "codebook_size" not in {key.name for key in log.store.keys}


@pytest.mark.parametrize("begin", ['{\n  "lr": 0.001,\n  "seed": 5\n}\n', '{"lr": 0.001,\n"seed": 5}\n'])
def test_arguments_as_json_before_the_text_do_not_make_it_a_document(begin):
    log = read(begin + "step: 1 loss: 0.5\n", "train.log")
    assert log.reader.name == "text" and {"loss", "seed"} <= {key.name for key in log.store.keys}
    assert read(begin, "history.json").reader.name == "json"


def test_a_number_before_a_name_is_no_part_of_it():
    assert steps_and_values("epoch 001:  10 / 5000 loss=6.5, num_updates=10\n", "loss") == ([10], [6.5])


def test_thousands_are_read_whole():
    assert steps_and_values(LLAMAGEN, "VQ Model Parameters")[1] == [71_882_955]
    assert steps_and_values("shape: (1,234), loss: 0.5, lr: 1,x: 12,345.5, y: 1,23, z=1,234,5\n", "x")[1] == [12345.5]
    assert steps_and_values("shape: (1,234), loss: 0.5, lr: 1,x: 12,345.5, y: 1,23, z=1,234,5\n", "y")[1] == [1]
    assert steps_and_values("shape: (1,234)\n", "shape")[1] == [1]


def test_what_waits_for_its_step_is_held():
    """To resume without a loss, such a line has to be read again."""
    reader = Text()
    first = llamagen(100, "codebook_usage: 0.5", 1).encode()
    reader.feed(first)
    assert reader.held == 0
    lines = llamagen(200, "codebook_usage: 0.4", 1).encode().splitlines(keepends=True)
    reader.feed(lines[0] + lines[1] + b"(st")
    assert reader.held == len(lines[0] + lines[1]) + 3


def test_a_count_of_so_many_codes_tells_the_size_of_the_book():
    log = read(
        "".join(f"Epoch {i}: 活跃码元(累积EMA): 256/256 (100.0%), 实际码本利用率(当前批次): 2/256, 批次: 3/900\n" for i in (1, 2))
        + "Epoch 3: 活跃码元(累积EMA): 256/512\nEpoch 4: usage.used: 3 / 4/5, loss: 1/2\n"
    )
    assert log.store.events == [Event("book-size", 1, {"codes": 256}), Event("book-size", 3, {"codes": 512})]
    assert curves(log)["活跃码元(累积EMA)"][-1] == [256, 256, 256]


def test_other_events():
    assert events(
        "2022-08-01 12:00:00,123 INFO: begin reestimation\n2022-08-01 12:00:09,123 INFO: end reestimation\n"
        "2022-08-01 12:00:00,123 INFO: Skipping reestimation, too few samples\nepoch: 3\n************* Replaced 12 codebooks *****\n"
        "Saving current: ./ckpt/epoch_0_collision_0.1235_model.pth\nSaved checkpoint to out/0001000.pt\n使用k-means初始化码本...\n"
        "码本初始化完成\nTraceback (most recent call last):\n"
    ) == [
        ("kmeans-begin", None, {}),
        ("kmeans-reinit", None, {}),
        ("skipped", None, {"reason": "too few samples"}),
        ("dead-reset", 3, {"codes": 12}),
        ("checkpoint", 3, {"file": "./ckpt/epoch_0_collision_0.1235_model.pth"}),
        ("checkpoint", 3, {"file": "out/0001000.pt"}),
        ("kmeans-begin", 3, {}),
        ("kmeans-reinit", 3, {}),
        ("failed", 3, {}),
    ]  # fmt: skip


def steps_and_values(text, name):
    [series] = [series for series in read(text).store.series() if series.key.name == name]
    return series.steps.tolist(), series.values.tolist()


def test_a_postfix_of_a_bar():
    text = " 45%|████▌     | 450/1000 [00:12<00:15, 35.2it/s, loss=0.335, ppl=179.5]\r 46%|████▌     | 460/1000 [00:12<00:15, loss=0.3]\r"
    assert steps_and_values(text, "loss") == ([450, 460], [0.335, 0.3])
    assert steps_and_values(text, "ppl") == ([450], [179.5])
    assert steps_and_values("Epoch 3: 12it [00:02,  5.9it/s, loss=0.5]\n", "loss") == ([12], [0.5])
    assert steps_and_values("Train: [3]  [ 10/500]  eta: 0:10:11  loss: 2.5 (2.6)  max mem: 12\n", "loss") == ([10], [2.5])


def test_steps_that_begin_again_with_each_epoch_go_on():
    text = "".join(f"Epoch {epoch} Step {step}: loss: 0.5\n" for epoch in (1, 2) for step in (0, 50, 100))
    assert steps_and_values(text, "loss")[0] == [0, 50, 100, 100, 150, 200]
    resumed = "".join(f"epoch: 1, step: {step}, loss: 0.5\n" for step in (0, 50, 100, 50, 150))
    assert steps_and_values(resumed, "loss")[0] == [0, 50, 100, 50, 150]


def test_dict_and_json_lines_between_text():
    text = '{\'loss\': 2.5, \'grad_norm\': nan, \'epoch\': 0.5}\n{"loss": 2.25, "epoch": 0.75, "vq": {"ppl": 3}}\n'
    assert steps_and_values(text, "loss") == ([0.5, 0.75], [2.5, 2.25])
    assert steps_and_values(text, "vq.ppl") == ([0.75], [3])


@pytest.mark.parametrize(
    "line",
    [
        "Namespace(lr=0.001, epochs=200)", "2025-01-02 03:04:05", "train.py:45: UserWarning: version 1.2.3",
        "INFO | __main__:train:42 - hello", "train.py:45 hello", "ETA: 8s", "v_num=0", "number of parameters 12", "Epoch 3 of 100", "epoch 2, took 3", "id: 3fa9b2", "elapsed: 1m30s", "a: b", "loss:", "=1", "14:37:06.5 ok", "eta: 0:10:11",
    ],
)  # fmt: skip
def test_no_number_with_a_name(line):
    assert read(line + "\n").store.keys == ()


def test_values_that_are_no_numbers_are_events():
    log = read("step: 1, loss: 0.5\nstep: 2, loss: nan\nstep: 3, loss: -inf\nstep: 4, loss: 0.5\nstep: 5, loss: nan\n")
    [series] = log.store.series()
    assert series.values.tolist() == [0.5, 0.5] and (series.n, series.nonfinite) == (2, 3)
    assert [(event.kind, event.step, event.detail["value"]) for event in log.store.events] == [
        ("non-finite", 2, "nan"), ("non-finite", 5, "nan")
    ]  # fmt: skip
    assert all(isinstance(event, Event) for event in log.store.events)


def test_a_long_line_costs_little_and_is_counted():
    log = read(b"loss: 0.5 " + b"a1 " * 400_000 + b"\nstep: 1 loss: 0.25\n")
    assert log.notes == ["Left out: 1 line over 1 MiB."]
    assert steps_and_values("step: 1 loss: 0.5 " + "=: (1" * 3000, "loss") == ([1], [0.5])


def test_a_list_is_looked_for_only_where_it_would_begin(monkeypatch):
    """A line of thousands of open brackets costs its length, not its square."""
    from types import SimpleNamespace

    from vqdoctor.logs.readers import text_line

    looked, pattern = [], text_line._LIST
    spy = SimpleNamespace(match=lambda text, at, end: looked.append(text[at]) or pattern.match(text, at, end))
    monkeypatch.setattr(text_line, "_LIST", spy)
    assert len(list(text_line.pairs_of("a: [1 " * 2000))) > 1000
    assert set(looked) == {"["} and len(looked) <= 2000
