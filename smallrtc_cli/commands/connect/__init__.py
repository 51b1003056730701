"""`smallrtc connect`: a person, or a script, in a call to any SmallWebRTC server."""
