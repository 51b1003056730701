"""The same black-box client against several servers, interleaved on one machine; `scripts/bench` runs it.

chirps, packets, timeline   what is sent, how it is packed, and how late it came back: pure
figures, rows, table, bars  numbers, what they mean and are held against, and how they are shown: pure
impairment, client          the peer that measures
contestants, server         what is measured, each in a process of its own
stages, delay, load, channel, churn, startup, endurance    one kind of measurement each
results                     the medians, ratios and verdicts of all that was measured
rounds, options             who is measured when; the command line
"""
