"""Which test shows which row of reliability.md (sections 2.1 and 2.2): by module and function.

Only rows that this issue covers; a row whose whole promise is not shown yet is absent. `test_registry.py` holds
each name to a test that exists, and each row of a table in this folder to an entry here.
"""

from __future__ import annotations

UPSTREAM = "tests.faults.test_upstream"
CLIENT = "tests.faults.test_client"
RELAY = "tests.gateway.test_relay"
LEAVING = "tests.e2e.test_leaving"
UNUSABLE = f"{UPSTREAM}:test_unusable_answer_is_an_error_of_ours"
BROKEN = f"{UPSTREAM}:test_stream_that_breaks_ends_in_an_error_event"
ODD = f"{UPSTREAM}:test_odd_stream_is_read_as_it_is_meant"
ODD_WHOLE = f"{UPSTREAM}:test_odd_answer_is_read_as_it_is_meant"
STATUS = f"{UPSTREAM}:test_status_of_the_provider_is_judged_by_the_table"
BYTES = f"{UPSTREAM}:test_stream_of_single_bytes_is_the_same_stream"
WRONG = f"{CLIENT}:test_wrong_body_is_a_400_and_asks_nobody"
UNUSUAL = f"{CLIENT}:test_unusual_body_passes_as_it_is"

ROWS: dict[str, tuple[str, ...]] = {
    "U01": (f"{UPSTREAM}:test_refused_connection_is_a_502_at_once",),
    "U02": (f"{UPSTREAM}:test_connection_that_is_never_made_is_a_504",),
    "U03": (f"{UPSTREAM}:test_name_that_does_not_resolve_is_a_502",),
    "U05": (f"{UPSTREAM}:test_certificate_that_is_not_trusted_is_a_502_and_no_key_is_sent",),
    "U06": (f"{UPSTREAM}:test_handshake_that_hangs_is_a_504",),
    "U07": (UNUSABLE, f"{RELAY}:test_silence_is_a_504"),
    "U08": (f"{UPSTREAM}:test_connection_that_is_never_made_is_a_504",),
    "U09": (UNUSABLE,),
    "U10": (UNUSABLE,),
    "U11": (f"{UPSTREAM}:test_body_that_drips_ends_with_the_attempt",),
    "U12": (UNUSABLE, f"{UPSTREAM}:test_pooled_connection_that_died_is_replaced_once"),
    "U13": (UNUSABLE,),
    "U14": (UNUSABLE,),
    "U15": (UNUSABLE, BROKEN),
    "U16": (BROKEN, f"{RELAY}:test_truncation_after_content_is_an_error_event"),
    "U17": (
        f"{UPSTREAM}:test_stream_that_breaks_before_content_is_a_status",
        f"{RELAY}:test_reset_before_content_is_a_502",
    ),
    "U19": (BROKEN, f"{RELAY}:test_truncation_after_content_is_an_error_event"),
    "U20": (BROKEN, f"{RELAY}:test_stall_after_content_is_an_error_event"),
    "U22": (f"{RELAY}:test_whole_requests_time_ends_a_stream_that_never_ends",),
    "U23": (BROKEN,),
    "U24": (BROKEN, ODD),
    "U25": (ODD, BYTES),
    "U26": (ODD, BYTES),
    "U27": (ODD, BYTES),
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
    ),
    "U31": (f"{UPSTREAM}:test_error_under_200_takes_the_status_of_its_type",),
    "U32": (UNUSABLE,),
    "U33": (UNUSABLE, ODD_WHOLE),
    "U34": (ODD, ODD_WHOLE, f"{UPSTREAM}:test_whole_answer_to_a_stream_is_streamed"),
    "U35": (UNUSABLE, ODD_WHOLE, f"{UPSTREAM}:test_answer_without_words_passes"),
    "U36": (BROKEN,),
    "U37": (UNUSABLE,),
    "U38": (
        STATUS,
        f"{UPSTREAM}:test_delay_of_a_rate_limit_is_relayed_or_left_out",
        f"{UPSTREAM}:test_date_as_a_delay_is_left_out_or_sane",
    ),
    "U39": (f"{UPSTREAM}:test_spent_quota_asks_for_no_further_try",),
    "U40": (STATUS,),
    "U41": (STATUS,),
    "U43": (STATUS,),
    "U44": (UNUSABLE,),
    "U45": (UNUSABLE, ODD_WHOLE, f"{UPSTREAM}:test_request_asks_for_no_coding_and_expects_nothing"),
    "U46": (ODD_WHOLE,),
    "U47": (f"{UPSTREAM}:test_bytes_after_an_answer_end_its_connection",),
    "U48": (UNUSABLE, BROKEN),
    "U49": (f"{UPSTREAM}:test_headers_of_the_provider_stay_with_us",),
    "U50": (
        f"{UPSTREAM}:test_answer_before_the_request_has_been_read_is_relayed",
        f"{UPSTREAM}:test_status_counts_though_its_body_breaks",
    ),
    "U51": (ODD_WHOLE, f"{UPSTREAM}:test_request_asks_for_no_coding_and_expects_nothing"),
    "U52": (UNUSABLE, ODD_WHOLE, f"{UPSTREAM}:test_whole_answer_to_a_stream_is_streamed"),
    "U55": (f"{UPSTREAM}:test_absurd_usage_harms_nothing",),
    "C01": (f"{CLIENT}:test_client_that_leaves_in_its_body_asks_nobody",),
    "C02": (
        f"{CLIENT}:test_client_that_leaves_while_waiting_frees_the_upstream",
        f"{LEAVING}:test_client_that_leaves_closes_the_upstream",
    ),
    "C03": (
        f"{CLIENT}:test_client_that_leaves_while_waiting_frees_the_upstream",
        f"{LEAVING}:test_client_that_leaves_closes_the_upstream",
        f"{LEAVING}:test_client_that_leaves_while_dialling_ends_the_dialling",
    ),
    "C04": (
        f"{CLIENT}:test_client_that_leaves_in_the_middle_frees_the_upstream",
        f"{LEAVING}:test_client_that_leaves_closes_the_upstream",
        f"{LEAVING}:test_tokens_that_came_before_the_client_left_are_counted",
    ),
    "C07": (f"{LEAVING}:test_client_that_leaves_closes_the_upstream",),
    "C08": (f"{RELAY}:test_slow_reader_stops_the_upstream_and_loses_nothing",),
    "C13": (f"{CLIENT}:test_oversized_body_is_a_413_and_asks_nobody",),
    "C14": (f"{CLIENT}:test_compressed_body_is_a_415",),
    "C15": (WRONG,),
    "C16": (WRONG, UNUSUAL),
    "C17": (WRONG, UNUSUAL),
    "C18": (WRONG,),
    "C19": (WRONG, UNUSUAL, f"{CLIENT}:test_strange_name_of_a_model_is_not_found"),
    "C20": (f"{CLIENT}:test_connection_serves_on_after_every_error",),
    "C21": (
        f"{CLIENT}:test_pipelined_requests_are_answered_in_order",
        f"{CLIENT}:test_client_that_leaves_amid_its_pipeline_stops_it",
    ),
    "C22": (f"{CLIENT}:test_expected_continue_comes", f"{CLIENT}:test_unknown_expectation_is_a_417"),
    "C24": (
        "tests.server.test_app:test_confused_path_is_never_served",
        "tests.server.test_app:test_confused_path_never_passes_the_door",
    ),
    "C25": (WRONG,),
    "C26": (UNUSUAL,),
}
