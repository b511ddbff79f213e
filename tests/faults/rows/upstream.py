"""Which test shows which row of reliability.md, section 2.1: what goes wrong at a provider."""

from __future__ import annotations

UPSTREAM = "tests.faults.test_upstream"
FAILOVER = "tests.faults.test_failover"
NETWORK = "tests.faults.test_network"
OUTAGE = "tests.faults.load.test_outage"
RELAY = "tests.gateway.test_relay"
ENDS = "tests.gateway.test_ends"
PACE = "tests.gateway.test_pace"
RESILIENCE = "tests.gateway.test_resilience"
BACKOFF = "tests.routing.test_backoff"
BUDGET = "tests.routing.test_budget"
COURSE = "tests.routing.test_course"
HEALTH = "tests.routing.test_health"
CLIENT_ROOM = "tests.http.test_response"
UNUSABLE = f"{UPSTREAM}:test_unusable_answer_is_an_error_of_ours"
BROKEN = f"{UPSTREAM}:test_stream_that_breaks_ends_in_an_error_event"
ODD = f"{UPSTREAM}:test_odd_stream_is_read_as_it_is_meant"
ODD_WHOLE = f"{UPSTREAM}:test_odd_answer_is_read_as_it_is_meant"
STATUS = f"{UPSTREAM}:test_status_of_the_provider_is_judged_by_the_table"
BYTES = f"{UPSTREAM}:test_stream_of_single_bytes_is_the_same_stream"
HIDDEN = f"{FAILOVER}:test_fault_before_content_is_the_other_deployment_s_to_answer"
ANY_PROVIDER = f"{FAILOVER}:test_fault_of_any_provider_is_the_other_deployment_s_to_answer"
TRUNCATION = "tests.faults.test_truncation:test_cut_stream_raises_in_the_sdk"
SLOW_STREAM = f"{NETWORK}:test_slow_network_changes_nothing_of_a_stream"

TESTS: dict[str, tuple[str, ...]] = {
    "U01": (f"{UPSTREAM}:test_refused_connection_is_a_502_at_once", HIDDEN),
    "U02": (f"{UPSTREAM}:test_connection_that_is_never_made_is_a_504",),
    "U03": (f"{UPSTREAM}:test_name_that_does_not_resolve_is_a_502",),
    "U04": (
        f"{NETWORK}:test_new_connection_follows_a_name_that_has_moved",
        "tests.http.test_client_pool:test_idle_connection_expires",
    ),
    "U05": (f"{UPSTREAM}:test_certificate_that_is_not_trusted_is_a_502_and_no_key_is_sent",),
    "U06": (f"{UPSTREAM}:test_handshake_that_hangs_is_a_504",),
    "U07": (UNUSABLE, f"{RELAY}:test_silence_is_a_504", HIDDEN),
    "U08": (f"{UPSTREAM}:test_connection_that_is_never_made_is_a_504",),
    "U09": (UNUSABLE,),
    "U10": (UNUSABLE,),
    "U11": (
        f"{UPSTREAM}:test_body_that_drips_ends_with_the_attempt",
        f"{NETWORK}:test_body_over_a_thin_line_ends_with_the_attempt",
    ),
    "U12": (UNUSABLE, f"{UPSTREAM}:test_pooled_connection_that_died_is_replaced_once", HIDDEN),
    "U13": (UNUSABLE, HIDDEN),
    "U14": (UNUSABLE, HIDDEN),
    "U15": (UNUSABLE, BROKEN, HIDDEN),
    "U16": (BROKEN, f"{RELAY}:test_truncation_after_content_is_an_error_event", TRUNCATION),
    "U17": (
        f"{UPSTREAM}:test_stream_that_breaks_before_content_is_a_status",
        f"{RELAY}:test_reset_before_content_is_a_502",
        HIDDEN,
        ANY_PROVIDER,
        f"{OUTAGE}:test_each_fault_of_one_deployment_is_hidden",
    ),
    "U18": (f"{FAILOVER}:test_fault_after_content_is_never_spliced",),
    "U19": (BROKEN, f"{RELAY}:test_truncation_after_content_is_an_error_event", TRUNCATION),
    "U20": (BROKEN, f"{RELAY}:test_stall_after_content_is_an_error_event", TRUNCATION),
    "U21": (
        f"{ENDS}:test_comments_are_no_events",
        f"{RELAY}:test_whole_requests_time_ends_a_stream_that_never_ends",
    ),
    "U22": (f"{RELAY}:test_whole_requests_time_ends_a_stream_that_never_ends",),
    "U23": (BROKEN,),
    "U24": (BROKEN, ODD, TRUNCATION),
    "U25": (ODD, BYTES, SLOW_STREAM),
    "U26": (ODD, BYTES, SLOW_STREAM),
    "U27": (ODD, BYTES, SLOW_STREAM),
    "U28": (ODD,),
    "U29": (
        ODD,
        f"{UPSTREAM}:test_usage_after_the_finish_is_counted_and_passed_on",
        f"{UPSTREAM}:test_upstream_that_has_said_all_is_let_go_at_once",
    ),
    "U30": (
        BROKEN,
        f"{RELAY}:test_error_before_content_keeps_its_status",
        f"{RELAY}:test_error_after_content_is_an_event_and_no_done",
        ANY_PROVIDER,
    ),
    "U31": (f"{UPSTREAM}:test_error_under_200_takes_the_status_of_its_type", HIDDEN),
    "U32": (UNUSABLE, HIDDEN),
    "U33": (UNUSABLE, ODD_WHOLE),
    "U34": (ODD, ODD_WHOLE, f"{UPSTREAM}:test_whole_answer_to_a_stream_is_streamed"),
    "U35": (UNUSABLE, ODD_WHOLE, f"{UPSTREAM}:test_answer_without_words_passes", HIDDEN),
    "U36": (BROKEN, TRUNCATION),
    "U37": (UNUSABLE,),
    "U38": (
        STATUS,
        f"{UPSTREAM}:test_delay_of_a_rate_limit_is_relayed_or_left_out",
        f"{UPSTREAM}:test_date_as_a_delay_is_left_out_or_sane",
        f"{BACKOFF}:test_hint_is_never_undercut_and_spread_over_a_tenth",
        f"{BACKOFF}:test_long_hint_is_clamped",
        "tests.wire.test_retry_after:test_retry_after_is_seconds_within_a_day",
        "tests.edge_cases.test_g_gemini_response:test_125_delay_stands_in_the_body",
        f"{COURSE}:test_pause_that_would_pass_the_deadline_is_not_made",
    ),
    "U39": (
        f"{UPSTREAM}:test_spent_quota_asks_for_no_further_try",
        f"{COURSE}:test_spent_quota_is_asked_of_another_key_only",
        f"{HEALTH}:test_limits_and_rejected_keys_cool_at_once",
    ),
    "U40": (STATUS, HIDDEN),
    "U41": (STATUS, f"{FAILOVER}:test_client_s_own_fault_is_asked_of_nobody_else"),
    "U42": (
        f"{FAILOVER}:test_prompt_that_is_too_long_goes_to_the_larger_model",
        f"{FAILOVER}:test_prompt_that_is_too_long_for_all_is_a_400",
    ),
    "U43": (
        STATUS,
        HIDDEN,
        f"{FAILOVER}:test_rejected_key_is_not_asked_again_while_another_one_works",
        f"{RESILIENCE}:test_rejected_key_is_counted_by_its_own_name",
    ),
    "U44": (UNUSABLE,),
    "U45": (UNUSABLE, ODD_WHOLE, f"{UPSTREAM}:test_request_asks_for_no_coding_and_expects_nothing"),
    "U46": (ODD_WHOLE, f"{CLIENT_ROOM}:test_framing_between_pieces_of_body_does_not_add_up"),
    "U47": (f"{UPSTREAM}:test_bytes_after_an_answer_end_its_connection",),
    "U48": (UNUSABLE, BROKEN, TRUNCATION),
    "U49": (f"{UPSTREAM}:test_headers_of_the_provider_stay_with_us",),
    "U50": (
        f"{UPSTREAM}:test_answer_before_the_request_has_been_read_is_relayed",
        f"{UPSTREAM}:test_status_counts_though_its_body_breaks",
    ),
    "U51": (ODD_WHOLE, f"{UPSTREAM}:test_request_asks_for_no_coding_and_expects_nothing"),
    "U52": (UNUSABLE, ODD_WHOLE, f"{UPSTREAM}:test_whole_answer_to_a_stream_is_streamed"),
    "U53": (
        f"{FAILOVER}:test_cooled_deployment_is_asked_again_by_one_probe_at_a_time",
        f"{FAILOVER}:test_lone_deployment_is_never_cooled_away",
        f"{HEALTH}:test_failures_cool_once_they_are_more_than_half_of_five",
        f"{HEALTH}:test_lone_deployment_is_never_cooled",
        f"{PACE}:test_stream_that_drips_is_stalled_where_that_is_configured",
    ),
    "U54": (
        f"{FAILOVER}:test_total_outage_asks_each_deployment_and_then_says_so",
        f"{FAILOVER}:test_retries_in_an_outage_stay_within_their_budget",
        f"{BUDGET}:test_total_outage_costs_a_fifth_more",
        f"{OUTAGE}:test_total_outage_is_not_made_worse",
    ),
    "U55": (f"{UPSTREAM}:test_absurd_usage_harms_nothing",),
    "U56": (
        SLOW_STREAM,
        f"{NETWORK}:test_slow_network_changes_nothing_of_an_answer",
        f"{NETWORK}:test_network_that_breaks_is_an_error_and_never_a_short_answer",
    ),
    "U57": (
        f"{NETWORK}:test_call_of_a_tool_in_slices_is_the_same_call",
        "tests.e2e.test_python_sdk:test_tool_call_and_its_result_go_round",
        "tests.edge_cases.test_a_client_stream:test_003_calls_are_counted_from_zero_whatever_stands_before_them",
        "tests.edge_cases.test_b_upstream_stream:test_021_event_split_anywhere_is_the_same_event",
    ),
}
