"""Every family of the reference table that stores a codebook has a specimen, or a stated reason for having none."""

from __future__ import annotations

from test_layout_contract import SPECIMENS

TABLE = """
lr_vq_ema lr_vq_cos lr_vq_learnable lr_vq_heads lr_vq_affine lr_rvq lr_rvq_shared lr_rvq_implicit lr_hier lr_fsq lr_lfq
lr_simvq lr_randproj lr_latent encodec audiocraft hf_encodec speechtokenizer wavtokenizer xcodec hf_xcodec funcodec
moshi_mimi hf_mimi dac hf_dac snac bigcodec xcodec2 hificodec taming_vq taming_gumbel taming_ema ldm_vq diffusers_vq
llamagen var ibq magvit2_lfq beit2 rosinality zalando kakao_rq vqfr codeformer cvq simvq titok vitvq dalle dalle_pytorch
dome272 vqtorch hf_vlm wav2vec2 minionerec minionerec_npz lcrec letter botta grid onerec t2mgpt momask motiongpt esm3
foldtoken vqbet lapa timevqvae jukebox trellis vqdiffusion
"""
ROWS = frozenset(TABLE.split())

WITHOUT = {
    "magvit2_lfq": "all its buffers are non-persistent: the file holds no trace of the quantiser",
    "trellis": "has no vector quantiser",
}


def test_every_row_is_accounted_for() -> None:
    shown = {row for specimen in SPECIMENS for row in specimen.rows}
    assert ROWS - shown == set(WITHOUT)
    assert shown <= ROWS
