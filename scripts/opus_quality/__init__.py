"""How good speech is after Opus and lost packets, and what it costs; `scripts/opus-quality` runs it.

speech      what is said: synthetic and recorded
path        one encoder, random loss, one decoder that recovers or conceals
scores      PESQ and STOI of what comes out, and microseconds
__main__    the settings that are compared, and the table
"""
