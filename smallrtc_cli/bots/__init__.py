"""What a bot is: its arguments, who runs it, and the built-in ones."""
