"""Discrete VAEs: the encoder's last convolution says the code, the book only decodes it.

OpenAI's book is the decoder's first 1x1 convolution (D x K x 1 x 1); DALLE-pytorch's an embedding.
Source: openai/DALL-E dall_e/decoder.py; lucidrains/DALLE-pytorch dalle_pytorch/dalle_pytorch.py.
"""

from __future__ import annotations

import re

from vqdoctor.layouts.family import Family, Site, join, standard_normal

BY_LOGITS = "its codes are the largest of the encoder's logits, not the nearest rows"


def _is_decoder(sites: list[Site]) -> bool:
    """The encoder begins with a wide convolution of three colours; the book takes in more codes than it gives dimensions."""
    site = sites[0]
    return site.spec.shape[1] > site.spec.shape[0] and site.of_quantizer("output.conv.w") is not None


def _has_logits(sites: list[Site]) -> bool:
    """An encoder stands beside that ends in one 1x1 channel a code."""
    site = sites[0]
    ends = re.compile(re.escape(join(site.name, "encoder.")) + r"\d+\.weight")
    shapes = (site.state.specs[key].shape for bare, key in site.state.bare.items() if ends.fullmatch(bare))
    return any(len(shape) == 4 and shape[0] == site.spec.shape[0] and shape[2:] == (1, 1) for shape in shapes)


DALLE = Family(
    name="dalle",
    about="OpenAI DALL-E dVAE decoder",
    book=r"(?P<name>(?:.+\.)?blocks)\.input\.w",
    axis="dk11",
    metric="logits",
    searchable=BY_LOGITS,
    when=_is_decoder,
)

DALLE_PYTORCH = Family(
    name="dalle-pytorch",
    about="DALLE-pytorch DiscreteVAE",
    book=r"(?P<stem>(?:(?P<name>.+)\.)?)codebook\.weight",
    metric="logits",
    start=standard_normal,
    searchable=BY_LOGITS,
    when=_has_logits,
)
