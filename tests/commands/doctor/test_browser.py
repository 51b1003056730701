import pytest
from yarl import URL

from smallrtc_cli.commands.doctor.browser import judge
from smallrtc_cli.report.stages import Mark


@pytest.mark.parametrize("url", ["https://bot.example/api/offer", "http://localhost:7860/", "http://[::1]:7860/"])
def test_secure_pages_and_those_of_this_machine_get_the_microphone(url):
    assert judge(URL(url)).verdict is Mark.OK


def test_other_pages_do_not_and_the_cure_is_https():
    stage = judge(URL("http://192.168.1.20:7860/api/offer?token=s3cret"))
    assert stage.verdict is Mark.WARN
    assert "http://192.168.1.20:7860" in stage.detail
    assert "s3cret" not in stage.detail
    assert "--https" in stage.cure


def test_without_a_server_it_is_advice():
    assert judge(None).verdict is Mark.OK
    assert "localhost" in judge(None).detail
