"""`vqdoctor gate` as a use case: sources to subjects, asks to checks, baselines to and from files, and the gate's test of itself.

`gate` joins the parts · `request` what it is asked · `logs` what a log states · `self_test` each gate seen to fail and to pass ·
`specimens` the small checkpoints that it is tried on.
"""
