"""The commands: each composes the rooms below and returns an exit code; loaded when it is called."""
