"""Sound through an encoder and a decoder, and what is left of it."""

import numpy as np


def packets_of(encoder, sound):
    """The packets of sound that is a whole number of them."""
    return [encoder.encode(each) for each in np.split(sound, len(sound) // encoder.packet)]


def through(encoder, decoder, sound):
    return np.concatenate([decoder.decode(packet) for packet in packets_of(encoder, sound) if packet])


def pitch(sound, rate):
    """The strongest frequency of the first channel, in Hz."""
    one = sound[:, 0].astype(float)
    spectrum = np.abs(np.fft.rfft(one * np.hanning(len(one)), 8 * len(one)))
    return np.argmax(spectrum) * rate / (8 * len(one))
