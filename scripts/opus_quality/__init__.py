"""How good speech is after Opus and lost packets, and what it costs; `scripts/opus-quality` runs it.

speech      what is said: synthetic and recorded
sender      one encoder, or two in turn, and how the second takes over
path        random loss, reports of it, the jitter buffer of a call
scores      PESQ and STOI of what comes out, and microseconds
__main__    the settings that are compared, and the table
"""
