"""What is told of a request and of its attempts: to metrics and the log at the end, to health and gauges meanwhile.

A client that left says nothing of a deployment, nor does an error that is about the request, nor a deadline that the
client itself has set. Source: DESIGN.md, "One request", 7 and 8.
"""

from __future__ import annotations

from feathergate.deployment import Deployment
from feathergate.errors import FeatherGateError, UpstreamError
from feathergate.gateway.relay import Relay
from feathergate.http.contract import HttpError
from feathergate.observe.outcome import Outcome
from feathergate.routing.group import Member
from feathergate.runtime import Runtime

_KEY_AT_FAULT = ("auth", "quota")


def note_content(runtime: Runtime, member: Member[Deployment], relay: Relay, key: int | None) -> None:
    """The attempt has come to content; `key` is its conversation's, which returns to this deployment."""
    now = runtime.shared.ticker.now()
    member.health.note_success(now)
    member.gauge.first_content(now, now - relay.started)
    if key is not None:
        runtime.affinity.note(key, member.mark)


def note_end(runtime: Runtime, member: Member[Deployment], relay: Relay) -> None:
    """The deployment has one request less under way. An attempt without content and without an error, because the
    client left or another was faster, says nothing of its health."""
    usage = relay.usage
    member.gauge.end(runtime.shared.ticker.now(), usage.total_tokens if usage is not None else 0)
    if relay.error is None and relay.first_content is None:
        member.health.release_probe()


def blame(runtime: Runtime, member: Member[Deployment], error: UpstreamError, *, impatient: bool) -> None:
    """One failure; a refused key or a spent quota is one of all that share the key. `impatient`: the client has set
    the deadline itself."""
    if not is_blamed(error) or (impatient and error.kind == "timeout_total"):
        if not member.alone:
            member.health.release_probe()
        return
    deployment, now = member.deployment, runtime.shared.ticker.now()
    runtime.metrics.count_attempt_failure(deployment.model_name, deployment.provider.name, error.kind)
    for peer in runtime.peers[member.credential] if error.kind in _KEY_AT_FAULT else (member,):
        if not peer.alone and peer.health.note_failure(now, error.kind, error.retry_after_s, alone=False):
            runtime.metrics.count_cooldown(peer.deployment.model_name, peer.deployment.provider.name)


def is_blamed(error: UpstreamError) -> bool:
    """Whether a failure says something about the deployment, and not about the request or this machine."""
    return error.kind != "exhausted" and (error.kind != "status" or error.retryable)


def note_error(outcome: Outcome, error: FeatherGateError) -> None:
    """The request ended in this error."""
    outcome.status = error.status
    outcome.error = error.kind if isinstance(error, UpstreamError) else error.fault
    cause = error.__cause__
    outcome.detail = f"{error.message} [{cause.detail}]" if isinstance(cause, HttpError) else error.message


def account(runtime: Runtime, outcome: Outcome) -> None:
    """The request is over: tell those who count. Once a request."""
    outcome.ended = runtime.shared.ticker.now()
    runtime.metrics.observe(outcome)
    if runtime.shared.log is not None:
        runtime.shared.log.write(outcome, runtime.shared.now())
