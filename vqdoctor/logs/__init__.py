"""Logs of training runs: bytes to series and events, files as they grow, names of other projects to ours.

Three parts that do not know each other: readers (`readers`) know formats and no files; the follower (`follow`, `tail`, `rotation`)
knows files and no formats; the store (`store`, `pyramid`, `aliases`) knows numbers and what they mean, and neither. `runs` joins
them. Nothing here judges or draws.

    runs, follower = read_runs("logs/", clock=time.time)          # what is there now
    follower = Follower("logs/", wanted=looks_like_log, clock=time.time)
    runs = Runs()
    for chunks in follow(follower, interval=0.5, sleep=time.sleep):   # for ever
        changed = runs.take(chunks, follower)
"""

from vqdoctor.logs.aliases import Vocabulary, explain_name
from vqdoctor.logs.follow import Follower, State, follow
from vqdoctor.logs.pyramid import Bins
from vqdoctor.logs.readers import READERS, AutoReader, Found, Reader, choose, looks_like_log, read_file_name
from vqdoctor.logs.rotation import Position
from vqdoctor.logs.runs import Log, Run, Runs, preview, read_runs, run_of
from vqdoctor.logs.store import Budget, SeriesStore
from vqdoctor.logs.tail import Chunk, Tail, head_and_tail

__all__ = [
    "READERS", "AutoReader", "Bins", "Budget", "Chunk", "Follower", "Found", "Log", "Position", "Reader", "Run", "Runs",
    "SeriesStore", "State", "Tail", "Vocabulary", "choose", "explain_name", "follow", "head_and_tail", "looks_like_log", "preview",
    "read_file_name", "read_runs", "run_of",
]  # fmt: skip
