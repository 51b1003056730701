"""What is reported: each figure with its unit, which way is better, and the goal."""

from dataclasses import dataclass

Figures = dict[str, float]
"Values by the name of their row."


@dataclass(frozen=True, slots=True)
class Row:
    """One figure; without a goal it is there for comparison only."""

    name: str
    label: str
    unit: str
    goal: float | None = None
    more_is_better: bool = False

    def reaches(self, value: float) -> bool | None:
        """None where there is no goal; not-a-number reaches none."""
        if self.goal is None:
            return None
        return value >= self.goal if self.more_is_better else value <= self.goal


ROWS = (
    Row("connect.answer", "offer → answer", "ms", 3.5),
    Row("connect.ice", "→ ICE", "ms"),
    Row("connect.dtls", "→ DTLS", "ms"),
    Row("connect.channel", "→ data channel", "ms", 11),
    Row("connect.first_packet", "→ first packet", "ms"),
    Row("connect.first_sound", "→ first echoed sound", "ms", 15),
    Row("latency.clean.p50", "echo latency p50", "ms", 32),
    Row("latency.clean.p95", "echo latency p95", "ms"),
    Row("latency.loss.p50", "1 % loss: p50", "ms", 34),
    Row("latency.loss.p95", "1 % loss: p95", "ms"),
    Row("latency.jitter.p50", "0-30 ms jitter there, 0.5 % loss: p50", "ms", 50),
    Row("latency.jitter.p95", "0-30 ms jitter there, 0.5 % loss: p95", "ms"),
    Row("load.cpu.1", "CPU per session, 1 session", "% of a core"),
    Row("load.cpu.10", "CPU per session, 10 sessions", "% of a core", 1.3),
    Row("load.cpu.50", "CPU per session, 50 sessions", "% of a core"),
    Row("load.gap.50", "packet gap p99, 50 sessions", "ms"),
    Row("load.delivered.50", "delivered, 50 sessions", "%", more_is_better=True),
    Row("load.memory", "memory per session", "MB", 0.35),
    Row("load.threads", "threads per session", "", 0.0),
    Row("capacity.sessions", "sessions on one process", "", 75, more_is_better=True),
    Row("endurance.fast.first", "call 200 ppm fast: p50, first minute", "ms"),
    Row("endurance.fast.last", "call 200 ppm fast: p50, last minute", "ms"),
    Row("endurance.fast.change", "call 200 ppm fast: last less first", "ms", 2),
    Row("endurance.fast.worst", "call 200 ppm fast: p50, worst minute", "ms"),
    Row("endurance.fast.delivered", "call 200 ppm fast: delivered", "%", 97, more_is_better=True),
    Row("endurance.slow.first", "call 200 ppm slow: p50, first minute", "ms"),
    Row("endurance.slow.last", "call 200 ppm slow: p50, last minute", "ms"),
    Row("endurance.slow.change", "call 200 ppm slow: last less first", "ms", 2),
    Row("endurance.slow.worst", "call 200 ppm slow: p50, worst minute", "ms"),
    Row("endurance.slow.delivered", "call 200 ppm slow: delivered", "%", 97, more_is_better=True),
    Row("endurance.memory.first", "both calls: memory, first minute", "MB"),
    Row("endurance.memory.last", "both calls: memory, at the end", "MB"),
    Row("endurance.memory.slope", "both calls: memory grows by", "KB/min", 10),
    Row("endurance.cpu", "both calls: CPU per session", "% of a core"),
    Row("channel.trip.p50", "message round trip p50", "ms", 0.3),
    Row("channel.trip.p99", "message round trip p99", "ms"),
    Row("channel.in", "60 KB messages in", "MB/s", 28, more_is_better=True),
    Row("channel.echo", "60 KB messages echoed", "MB/s", more_is_better=True),
    Row("churn.memory", "100 calls: memory each", "KB", 12),
    Row("churn.threads", "100 calls: threads left over", "", 0),
    Row("churn.sockets", "100 calls: sockets left over", "", 0),
    Row("startup.port", "start → port open", "s", 0.4),
    Row("startup.help", "--help", "s", 0.18),
)
