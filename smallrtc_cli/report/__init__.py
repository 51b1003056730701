"""A result as checks, JSON, table, JUnit and GitHub summary; knows no command."""
