"""What goes over the wire, as values: pure, with no clock, loop, socket or thread."""
