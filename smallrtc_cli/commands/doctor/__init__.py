"""`smallrtc doctor`: why a call does not work here, stage by stage.

A stage's judgement is a pure function of facts; the facts come from the rooms below, each within a bound.
"""
