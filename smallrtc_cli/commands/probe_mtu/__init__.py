"""`smallrtc probe-mtu`: what a path really carries, and what to do about it."""
