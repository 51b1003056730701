"""What is there, what may be sent, what is told: by value, at made-up times."""

import json
from itertools import pairwise

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from smallrtc_cli.config import Limits, Timing
from smallrtc_cli.protocol.messages import (
    PathReportMessage,
    PathRequestMessage,
    PeerLeftMessage,
    RenegotiateMessage,
    TrackStatusMessage,
    encode_app,
    encode_signalling,
)
from smallrtc_cli.protocol.session import (
    AskConsent,
    Close,
    CloseReason,
    Emit,
    PathTold,
    Redial,
    Renegotiate,
    Report,
    ReportPath,
    RequestKeyframes,
    Role,
    Send,
    Session,
    State,
)

TIMING = Timing()
PEER_LEFT = encode_signalling(PeerLeftMessage())
RENEGOTIATE = encode_signalling(RenegotiateMessage())


def _muted(index=0, enabled=False):
    return encode_signalling(TrackStatusMessage(index, enabled))


def _said(what):
    return {"said": what}


def _sent(what):
    return Send(encode_app(_said(what)))


def _connected(role=Role.ANSWER, joined=True, now=0.0, **limits):
    session = Session(role, TIMING, Limits(**limits))
    session.negotiating(now)
    session.peer_connected(now)
    if joined:
        session.join()
    return session


def _live(session, start, end, heard):
    """Tick as the shell does, at each deadline; what happened, with its time."""
    happened = []
    while session.deadline is not None and session.deadline <= end:
        now = max(start, session.deadline)
        happened += [(now, effect) for effect in session.tick(now, heard)]
    return happened


def _of(happened, kind):
    return [(now, effect) for now, effect in happened if isinstance(effect, kind)]


# Coming up


def test_a_conversation_comes_up_in_three_steps():
    session = Session()
    assert (session.state, session.deadline) == (State.NEW, None)
    assert session.negotiating(now=10) == [Emit("connecting")]
    assert (session.state, session.deadline) == (State.CONNECTING, 10 + TIMING.connect_timeout)
    session.join()
    assert session.peer_connected(now=11) == [Emit("connected")]
    assert session.state is State.CONNECTED


def test_a_bot_that_joins_late_is_told_then_and_asks_for_a_picture():
    session = _connected(joined=False)
    assert session.join() == [Emit("connected"), RequestKeyframes()]
    assert session.join() == []


def test_connected_is_told_to_nobody_before_the_bot_joins():
    session = Session()
    session.negotiating(now=0)
    assert session.peer_connected(now=1) == []
    assert not session.is_connected()


def test_a_peer_that_does_not_come_up_in_time_ends_the_conversation():
    session = Session()
    session.negotiating(now=0)
    assert session.tick(now=59.9, heard=0) == []
    assert session.tick(now=60, heard=0) == [Close(CloseReason.CONNECT_TIMEOUT)]


def test_a_peer_that_came_up_is_not_timed_out_by_the_first_offer():
    session = _connected(now=59)
    assert Close(CloseReason.CONNECT_TIMEOUT) not in session.tick(now=61, heard=61)


@pytest.mark.parametrize("state", ["new", "connected", "lost", "closed"])
def test_a_peer_connects_only_where_one_was_negotiated(state):
    session = Session() if state == "new" else _connected()
    if state == "lost":
        _live(session, 0, 5, heard=0)
    if state == "closed":
        session.close(CloseReason.BOT_ENDED)
    assert session.peer_connected(now=6) == []
    assert session.state == state


# Silence


def test_silence_is_asked_about_then_lost_then_closed():
    session = _connected()
    happened = _live(session, 0, 14.9, heard=0)
    assert [now for now, _ in _of(happened, AskConsent)] == list(range(1, 15))
    assert _of(happened, Emit) == [(5, Emit("lost"))]
    assert session.state is State.LOST
    assert session.is_connected()  # it may come back
    assert session.tick(now=15, heard=0) == [Close(CloseReason.ICE_TIMEOUT)]


def test_one_packet_in_time_is_enough_to_be_never_lost():
    session = _connected()
    for now in range(1, 200):
        assert Emit("lost") not in session.tick(now, heard=now - now % 4)


def test_a_sign_of_life_resumes():
    session = _connected()
    session.channel_opened(now=0)
    _live(session, 0, 9, heard=0)
    assert session.tick(now=10, heard=9.5) == [Emit("resumed")]
    assert session.state is State.CONNECTED
    assert _of(_live(session, 10, 14.4, heard=9.5), Emit) == []
    assert _of(_live(session, 14.4, 15, heard=9.5), Emit) == [(14.5, Emit("lost"))]


def test_a_packet_that_is_heard_is_no_reason_to_ask():
    session = _connected()
    assert session.tick(now=1, heard=0.9) == []
    assert session.deadline == 1.9


def test_a_tick_that_another_timer_caused_does_not_ask_again():
    session = _connected()
    assert session.tick(now=1, heard=0) == [AskConsent()]
    assert session.tick(now=1.5, heard=0) == []
    assert session.tick(now=2, heard=0) == [AskConsent()]


def test_the_side_that_closes_says_so_again_only_after_a_while():
    session = _connected()
    _live(session, 0, 14.9, heard=0)
    session.tick(now=15, heard=0)
    assert session.deadline == 16
    assert session.close(CloseReason.ICE_TIMEOUT) == [Emit("closed")]
    assert session.deadline is None


def test_a_stall_of_our_loop_is_not_the_other_sides_silence():
    session = _connected()
    session.channel_opened(now=0)
    assert session.tick(now=100, heard=0) == [AskConsent()]  # 99 s late, and the packets are still unread
    assert session.state is State.CONNECTED
    assert _of(_live(session, 100, 104.4, heard=100.2), Emit) == []


def test_a_stall_does_not_lend_a_silent_side_more_time_than_it_took():
    session = _connected()
    session.tick(now=100, heard=100)  # all was read before the timer came
    assert session.deadline == 101
    happened = _live(session, 100, 106, heard=100)
    assert _of(happened, Emit) == [(105, Emit("lost"))]


def test_the_dialing_side_dials_again_when_lost_and_never_closes_by_silence():
    session = _connected(Role.OFFER)
    happened = _live(session, 0, 300, heard=0)
    assert _of(happened, Redial) == [(5, Redial(CloseReason.ICE_TIMEOUT))]
    assert _of(happened, Close) == []
    assert session.state is State.LOST


# Breaking


@pytest.mark.parametrize("reason", [CloseReason.DTLS_ERROR, CloseReason.ICE_TIMEOUT])
def test_a_peer_that_fails_ends_the_answering_side(reason):
    assert _connected().peer_failed(reason) == [Emit("failed"), Close(reason)]


@pytest.mark.parametrize("role", Role)
def test_a_peer_that_closes_does_so_on_purpose_and_ends_the_conversation(role):
    assert _connected(role).peer_closed() == [Close(CloseReason.PEER_CLOSED)]


def test_a_first_call_that_fails_is_not_dialed_again():
    session = Session(Role.OFFER)
    session.negotiating(now=0)
    assert session.peer_failed(CloseReason.ICE_TIMEOUT) == [Emit("failed"), Close(CloseReason.ICE_TIMEOUT)]


def test_a_broken_peer_is_dialed_again_by_the_dialing_side():
    session = _connected(Role.OFFER)
    assert session.peer_failed(CloseReason.DTLS_ERROR) == [Emit("failed"), Redial(CloseReason.DTLS_ERROR)]
    assert session.state is State.LOST


def test_a_broken_peer_does_not_resume_by_what_was_heard_before():
    session = _connected(Role.OFFER)
    session.channel_opened(now=0)
    session.peer_failed(CloseReason.ICE_TIMEOUT)
    assert session.deadline is None
    assert session.tick(now=1, heard=0.9) == []
    assert session.state is State.LOST


def test_a_restart_that_only_half_connects_is_dialed_again_and_stays_lost():
    session = _connected(Role.OFFER)
    session.negotiating(now=10)
    assert session.tick(now=70, heard=69.9) == [Redial(CloseReason.CONNECT_TIMEOUT)]
    assert session.state is State.LOST


def test_a_new_peer_mends_a_broken_one():
    session = _connected(Role.OFFER)
    session.peer_failed(CloseReason.ICE_TIMEOUT)
    assert session.negotiating(now=3) == [Emit("disconnected"), Emit("connecting")]
    assert session.peer_connected(now=4) == [Emit("connected")]
    assert _of(_live(session, 4, 9, heard=4), Emit) == [(9, Emit("lost"))]


def test_a_bot_that_has_not_joined_hears_of_no_restart():
    session = _connected(joined=False)
    assert session.negotiating(now=3) == [Emit("connecting")]


# Messages out


def test_what_is_sent_before_the_channel_opens_goes_out_once_and_in_order():
    session = _connected()
    assert [session.send_app(_said(number)) for number in range(5)] == [[]] * 5
    assert session.channel_opened(now=1) == [_sent(number) for number in range(5)]
    assert session.channel_opened(now=2) == []
    assert session.send_app(_said(5)) == [_sent(5)]


def test_messages_wait_while_there_is_no_channel_between_two_peers():
    session = _connected()
    session.channel_opened(now=1)
    session.channel_closed()
    session.send_app(_said("a"))
    session.negotiating(now=2)
    session.send_app(_said("b"))
    assert session.channel_opened(now=3) == [_sent("a"), _sent("b")]


def test_what_is_too_much_for_the_outbox_is_dropped_and_counted():
    session = _connected(outbox=2)
    session.send_app(_said(1)), session.send_app(_said(2))
    assert [type(effect) for effect in session.send_app(_said(3))] == [Report]
    assert session.channel_opened(now=1) == [_sent(1), _sent(2)]
    assert session.counters()["messagesDropped"] == 1


def test_a_channel_that_never_opens_costs_the_messages_and_says_so_once():
    session = _connected()
    session.send_app(_said("early"))
    happened = _live(session, 0, 20, heard=20)
    assert [now for now, _ in _of(happened, Report)] == [TIMING.channel_timeout]
    assert [type(effect) for effect in session.send_app(_said("late"))] == [Report]
    assert session.messages_dropped == 2
    assert session.channel_opened(now=21) == []
    assert session.send_app(_said("open")) == [_sent("open")]


@pytest.mark.parametrize(("role", "other"), [(Role.ANSWER, "client"), (Role.OFFER, "server")])
def test_a_channel_that_never_opens_is_told_from_the_side_that_tells(role, other):
    ((_, told),) = _of(_live(_connected(role), 0, 20, heard=20), Report)
    assert f"messages to the {other} are dropped" in told.sentence


def test_a_restart_lets_messages_wait_again_after_a_channel_that_never_opened():
    session = _connected()
    _live(session, 0, 11, heard=11)
    session.negotiating(now=12)
    assert session.send_app(_said("x")) == []
    assert session.channel_opened(now=13) == [_sent("x")]


def test_what_is_sent_after_the_end_goes_nowhere_and_is_counted():
    session = _connected()
    session.channel_opened(now=0)
    session.close(CloseReason.BOT_ENDED)
    assert session.send_app(_said("x")) == []
    assert session.messages_dropped == 1


def test_what_waits_at_the_end_is_counted():
    session = _connected(joined=False)
    session.send_app(_said("out"))
    session.received('{"in": 1}')
    session.close(CloseReason.PEER_CLOSED)
    assert session.messages_dropped == 2


def test_a_renegotiation_is_asked_for_once_in_a_while():
    session = _connected()
    session.channel_opened(now=0)
    session.renegotiated(now=0)
    assert session.ask_to_renegotiate(now=1.9) == []
    assert session.ask_to_renegotiate(now=2) == [Send(RENEGOTIATE)]
    assert session.ask_to_renegotiate(now=3.9) == []
    assert session.ask_to_renegotiate(now=4) == [Send(RENEGOTIATE)]


def test_only_the_dialing_side_pings_and_only_over_an_open_channel():
    answering, dialing = _connected(), _connected(Role.OFFER)
    assert _of(_live(dialing, 0, 5, heard=5), Send) == []
    for session in (answering, dialing):
        session.channel_opened(now=5)
    assert _of(_live(answering, 5, 9, heard=9), Send) == []
    assert _of(_live(dialing, 5, 8.5, heard=8), Send) == [(n, Send(f"ping: {n}000")) for n in (6, 7, 8)]
    assert dialing.tick(now=8.75, heard=8.75) == []
    dialing.channel_closed()
    assert _of(_live(dialing, 9, 12, heard=12), Send) == []


def test_no_ping_is_sent_between_two_peers():
    session = _connected(Role.OFFER)
    session.channel_opened(now=0)
    session.negotiating(now=0.5)
    assert _of(_live(session, 0, 10, heard=10), Send) == []


# Messages in


def test_messages_wait_for_the_bot_in_order_between_connected_and_the_next():
    session = _connected(joined=False)
    for number in range(3):
        assert session.received(f'{{"n":{number}}}') == []
    told = session.join()
    assert [effect.event for effect in told[:-1]] == ["connected", "app-message", "app-message", "app-message"]
    assert [effect.args[0]["n"] for effect in told[1:-1]] == [0, 1, 2]
    assert session.received('{"n":3}')[0].args == ({"n": 3},)


def test_more_messages_than_wait_for_a_bot_are_dropped_and_counted():
    session = _connected(joined=False, inbox=2)
    for number in range(5):
        session.received(f'{{"n":{number}}}')
    assert [effect.args[0]["n"] for effect in session.join()[1:-1]] == [0, 1]
    assert session.messages_dropped == 3


def test_larger_messages_than_wait_for_a_bot_are_dropped_and_counted():
    session = _connected(joined=False, inbox_bytes=100)
    session.received(encode_app({"padding": "x" * 70}))
    session.received(encode_app({"padding": "y" * 70}))
    session.received('{"n":1}')
    assert len(session.join()) == 4
    assert session.messages_dropped == 1


def test_a_track_status_takes_room_like_any_message():
    session = _connected()
    assert [effect.size for effect in session.received(_muted())] == [len(_muted())]


@pytest.mark.parametrize("payload", ["ping: 17", "ping"])
def test_a_ping_is_counted_and_nothing_else(payload):
    session = _connected()
    assert session.received(payload) == []
    assert session.counters()["pingsReceived"] == 1


@pytest.mark.parametrize("payload", ["{", "17", b"\xff", '{"type":"signalling","message":{"type":"what"}}'])
def test_what_means_nothing_is_reported_and_counted(payload):
    session = _connected()
    assert [type(effect) for effect in session.received(payload)] == [Report]
    assert session.counters()["messagesRejected"] == 1


def test_only_the_dialing_side_obeys_the_servers_signals():
    dialing, answering = _connected(Role.OFFER), _connected()
    assert dialing.received(RENEGOTIATE) == [Renegotiate()]
    assert dialing.received(PEER_LEFT) == [Close(CloseReason.PEER_LEFT)]
    assert answering.received(RENEGOTIATE) == answering.received(PEER_LEFT) == []


# Muting


def test_the_state_of_a_track_is_kept_over_restarts():
    session = _connected()
    session.received(_muted(0))
    session.negotiating(now=5)
    session.peer_connected(now=6)
    assert [session.is_enabled(index) for index in range(3)] == [False, True, True]


def test_a_mute_before_the_bot_joins_holds_at_once_and_is_told_later():
    session = _connected(joined=False)
    session.received(_muted(1))
    assert not session.is_enabled(1)
    assert [effect.args for effect in session.join() if isinstance(effect, Emit)] == [(), (1, False)]


def test_the_dialing_side_tells_its_tracks_to_each_new_channel_before_anything_else():
    session = _connected(Role.OFFER)
    assert session.set_enabled(0, False) == []
    session.send_app(_said("x"))
    assert session.channel_opened(now=0) == [Send(_muted(0)), _sent("x")]
    assert session.set_enabled(0, True) == [Send(_muted(0, enabled=True))]
    session.negotiating(now=5)
    assert session.channel_opened(now=6) == [Send(_muted(0, enabled=True))]


def test_switching_off_our_camera_does_not_switch_off_the_other_sides():
    session = _connected(Role.OFFER)
    session.set_enabled(1, False)
    assert session.is_enabled(1)


# The end


def test_a_conversation_ends_once_and_with_its_first_reason():
    session = _connected()
    assert session.close(CloseReason.BOT_FAILED) == [Emit("closed")]
    assert session.close(CloseReason.SERVER_SHUTDOWN) == []
    assert session.close_reason is CloseReason.BOT_FAILED
    assert not session.is_connected()


@pytest.mark.parametrize("role", Role)
def test_nothing_happens_after_the_end(role):
    session = _connected(role)
    session.channel_opened(now=0)
    session.close(CloseReason.BOT_ENDED)
    after = [
        session.negotiating(1),
        session.peer_connected(1),
        session.peer_failed(CloseReason.DTLS_ERROR),
        session.peer_closed(),
        session.channel_opened(1),
        session.received('{"n":1}'),
        session.received(PEER_LEFT),
        session.join(),
        session.send_app(_said(1)),
        session.send_signalling(RenegotiateMessage()),
        session.ask_to_renegotiate(1),
        session.set_enabled(0, False),
        session.tick(now=100, heard=0),
    ]
    assert after == [[]] * len(after)
    assert (session.state, session.deadline) == (State.CLOSED, None)


# Any order of things

OUTBOX, INBOX = 4, 5
DOCUMENTED = {
    (State.NEW, State.CONNECTING),
    (State.CONNECTING, State.CONNECTED),
    (State.CONNECTED, State.CONNECTING),
    (State.CONNECTED, State.LOST),
    (State.LOST, State.CONNECTED),
    (State.LOST, State.CONNECTING),
    (State.CONNECTING, State.LOST),  # the dialing side, whose new peer broke too
}


@pytest.mark.parametrize("role", list(Role))
def test_the_other_side_may_ask_what_the_path_carries_and_tell_it(role):
    session, told = _connected(role), PathReportMessage(1184, 1277, 1281, "icmp", True)
    assert session.received(encode_signalling(PathRequestMessage())) == [ReportPath()]
    assert session.received(encode_signalling(told)) == [PathTold(told)]


class Conversation(RuleBasedStateMachine):
    """A session in the hands of a shell that performs what it says, and a model of what has to come of it."""

    @initialize(role=st.sampled_from(Role))
    def begin(self, role):
        self.session = Session(role, TIMING, Limits(outbox=OUTBOX, inbox=INBOX))
        self.now = self.heard = 0.0
        self.silent_for = 0.0
        self.states = [State.NEW]
        self.posted = self.arrived = self.sent = self.lost_to_bounds = 0
        self.out, self.told = [], []
        self.broken = False

    def note(self, effects):
        """Perform what a shell performs, and keep the rest."""
        assert self.states[-1] is not State.CLOSED or effects == []
        self.states.append(self.session.state)
        for effect in effects:
            match effect:
                case Send(text=text) if "said" in text:
                    assert self.session.channel_open
                    self.out.append(json.loads(text)["said"])
                case Emit(event="app-message", args=(message,)):
                    assert self.session.joined
                    self.told.append(message["n"])
                case Emit(event="lost"):
                    assert self.silent_for >= TIMING.lost_after
                case Emit(event="resumed"):
                    assert not self.broken
                    assert self.silent_for < TIMING.lost_after
                case Redial():
                    assert self.session.role is Role.OFFER
                    assert self.session.was_connected
                case Close(reason=reason):
                    by_silence = reason is CloseReason.ICE_TIMEOUT and not self.broken
                    assert not by_silence or self.silent_for >= TIMING.close_after
                    assert not by_silence or self.session.role is Role.ANSWER
                    self.note(self.session.close(reason))

    def tick(self):
        self.note(self.session.tick(self.now, self.heard))
        assert self.session.deadline is None or self.session.deadline > self.now

    @rule(quarters=st.integers(1, 30))
    def time_passes(self, quarters):
        end = self.now + quarters / 4
        while (deadline := self.session.deadline) is not None and deadline <= end:
            self.silent_for += deadline - self.now
            self.now = deadline
            self.tick()
        self.silent_for += end - self.now
        self.now = end

    @rule(quarters=st.integers(3, 400))
    def our_loop_stands_still(self, quarters):
        deadline = self.session.deadline
        if deadline is None:
            return
        self.silent_for += deadline - self.now
        self.now = deadline + quarters / 4
        self.tick()

    @rule()
    def a_packet_comes(self):
        if not self.broken:
            self.heard, self.silent_for = self.now, 0.0

    @rule()
    def negotiate(self):
        self.broken = False
        self.note(self.session.negotiating(self.now))

    @rule()
    def connect(self):
        if self.session.state is State.CONNECTING:
            self.silent_for = 0.0
        self.note(self.session.peer_connected(self.now))

    @rule()
    def fail(self):
        self.broken = True
        self.note(self.session.peer_failed(CloseReason.ICE_TIMEOUT))

    @rule()
    def open_the_channel(self):
        self.note(self.session.channel_opened(self.now))

    @rule()
    def close_the_channel(self):
        self.session.channel_closed()

    @rule()
    def join(self):
        self.note(self.session.join())

    @rule(count=st.integers(1, 3))
    def send(self, count):
        for _ in range(count):
            self.posted += 1
            self.note(self.session.send_app(_said(self.posted)))

    @rule(count=st.integers(1, 3))
    def receive(self, count):
        for _ in range(count):
            if self.session.state is not State.CLOSED:
                self.arrived += 1
            self.note(self.session.received(f'{{"n":{self.arrived}}}'))

    @precondition(lambda self: len(self.states) > 10)
    @rule()
    def the_other_side_leaves(self):
        self.note(self.session.peer_closed())

    @precondition(lambda self: len(self.states) > 10)
    @rule()
    def end(self):
        self.note(self.session.close(CloseReason.BOT_ENDED))

    @invariant()
    def states_change_as_the_picture_says(self):
        for before, after in pairwise(self.states):
            assert before is after or after is State.CLOSED or (before, after) in DOCUMENTED
        self.states = self.states[-20:]

    @invariant()
    def messages_are_in_order_and_never_doubled(self):
        assert self.out == sorted(set(self.out))
        assert self.told == sorted(set(self.told))

    @invariant()
    def every_message_is_out_waiting_or_counted(self):
        waiting = self.posted + self.arrived - len(self.out) - len(self.told) - self.session.messages_dropped
        assert 0 <= waiting <= OUTBOX + INBOX
        if self.session.state is State.CLOSED:
            assert waiting == 0

    @invariant()
    def a_bot_that_joined_has_been_told_everything_that_was_kept(self):
        if self.session.joined and self.session.channel_open:
            kept = self.posted + self.arrived - self.session.messages_dropped
            assert len(self.out) + len(self.told) == kept

    @invariant()
    def the_bot_is_connected_only_while_somebody_may_be_there(self):
        there = self.session.state in (State.CONNECTED, State.LOST)
        assert self.session.is_connected() == (self.session.joined and there)


TestConversation = Conversation.TestCase
TestConversation.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_application_messages_are_json_whatever_they_hold():
    session = _connected()
    session.channel_opened(now=0)
    (sent,) = session.send_app({"text": "grüß", "n": [1, None, True]})
    assert json.loads(sent.text) == {"text": "grüß", "n": [1, None, True]}
