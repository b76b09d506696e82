"""`vqdoctor watch` as a use case: logs and checkpoints as they come, to one view that every face shows.

A reducer without a screen: `watcher.Watcher` takes what is new, judges the runs that changed and gives a `view.WatchView`. The
dashboard, the plain lines, the single frame and the JSON are all drawn from it.
"""
