"""Jukebox: three books for three resolutions of the music, each by itself; the averages are no part of the file.

Source: openai/jukebox jukebox/vqvae/bottleneck.py.
"""

from vqdoctor.layouts.family import Family

JUKEBOX = Family(
    name="jukebox",
    about="Jukebox BottleneckBlock",
    book=r"(?P<name>(?:.+\.)?level_blocks\.\d+)\.k",
    notes=("its running sums are not saved; a restored run starts them from the codes",),
)
