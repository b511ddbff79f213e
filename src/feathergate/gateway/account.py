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
from feathergate.routing.course import Choice
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


def conclude(runtime: Runtime, choice: Choice[Deployment], relay: Relay, *, impatient: bool) -> None:
    """The attempt is over, however it ended: what that means to the deployment's load and health. `impatient`: the
    client has set the request's deadline itself. Once an attempt."""
    member, usage = choice.member, relay.usage
    if not member.alone:
        member.gauge.end(runtime.shared.ticker.now(), usage.total_tokens if usage is not None else 0)
    error = None if relay.client_left else relay.error
    if isinstance(error, UpstreamError) and _is_blamed(error, impatient=impatient):
        _blame(runtime, member, error)
    else:
        choice.release()


def _is_blamed(error: UpstreamError, *, impatient: bool) -> bool:
    """Whether a failure says something about the deployment, and not about the request, this machine or the client's
    patience. The end of an attempt's own time may be tried again, that of the whole request's may not."""
    if error.kind == "timeout_total":
        return error.retryable or not impatient
    return error.kind != "exhausted" and (error.kind != "status" or error.retryable)


def _blame(runtime: Runtime, member: Member[Deployment], error: UpstreamError) -> None:
    """One failure; a refused key or a spent quota is one of all that share the key."""
    deployment, now = member.deployment, runtime.shared.ticker.now()
    runtime.metrics.count_attempt_failure(deployment.model_name, deployment.provider.name, error.kind)
    for peer in runtime.peers.get(member.credential, ()) if error.kind in _KEY_AT_FAULT else (member,):
        if not peer.alone and peer.health.note_failure(now, error.kind, error.retry_after_s, alone=False):
            runtime.metrics.count_cooldown(peer.deployment.model_name, peer.deployment.provider.name)


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
