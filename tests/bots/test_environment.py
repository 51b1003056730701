"""`.env`: whose value wins, and what a changed file changes."""

from smallrtc_cli.bots.environment import BotEnvironment


def test_the_file_fills_in_what_the_shell_has_not_set(tmp_path):
    (tmp_path / ".env").write_text('# keys\nKEY=file\nexport OTHER="two words"\nEMPTY=\nNAME_ONLY\n')
    environment = {"KEY": "shell"}
    files = BotEnvironment(environment).read(tmp_path)
    assert environment == {"KEY": "shell", "OTHER": "two words", "EMPTY": ""}
    assert files == (tmp_path / ".env",)


def test_the_bots_folder_wins_over_the_current_one(tmp_path):
    (tmp_path / "bot").mkdir()
    (tmp_path / ".env").write_text("A=here\nB=here\n")
    (tmp_path / "bot" / ".env").write_text("A=bot\n")
    environment = {}
    BotEnvironment(environment).read(tmp_path / "bot", tmp_path)
    assert environment == {"A": "bot", "B": "here"}


def test_no_file_is_no_change(tmp_path):
    environment = {"A": "1"}
    assert BotEnvironment(environment).read(tmp_path, tmp_path) == ()
    assert environment == {"A": "1"}


def test_a_reload_follows_the_file_in_what_the_file_has_set(tmp_path):
    environment = {"SHELL_SAID": "x"}
    ours = BotEnvironment(environment)
    (tmp_path / ".env").write_text("A=1\nB=1\nC=1\nSHELL_SAID=y\n")
    ours.read(tmp_path)
    environment["C"] = "set by the bot"
    (tmp_path / ".env").write_text("A=2\nC=2\nD=2\n")
    ours.read(tmp_path)
    assert environment == {"A": "2", "C": "set by the bot", "D": "2", "SHELL_SAID": "x"}
