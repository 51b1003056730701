import sys

import pytest
from ice_services import LOOPBACK

from smallrtc_cli.rtc.route import route


def test_the_way_to_oneself_begins_at_oneself():
    assert route(LOOPBACK, 9).source == LOOPBACK


@pytest.mark.skipif(sys.platform != "linux", reason="other kernels do not tell")
def test_linux_tells_the_mtu_of_the_way():
    assert route(LOOPBACK, 9).mtu >= 1280


def test_where_no_way_leads_there_is_none():
    assert route("255.255.255.255", 9) is None  # broadcasts have to be allowed
