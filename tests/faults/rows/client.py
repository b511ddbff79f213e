"""Which test shows which row of reliability.md, section 2.2: what goes wrong at a client."""

from __future__ import annotations

CLIENT = "tests.faults.test_client"
FAILOVER = "tests.faults.test_failover"
FRONT = "tests.faults.test_smuggling"
OUTAGE = "tests.faults.load.test_outage"
NEIGHBOUR = "tests.faults.load.test_neighbour"
CANCEL = "tests.faults.load.test_cancel:test_client_that_leaves_ends_its_request_at_once"
RELAY = "tests.gateway.test_relay"
LEAVING = "tests.e2e.test_leaving"
CONNECTION = "tests.http.test_connection"
SERVER = "tests.http.test_server"
PRESSURE = "tests.server.test_pressure"
AMBIGUOUS = "tests.http.test_smuggling:test_ambiguous_request_is_refused_and_its_tail_not_executed"
WRONG = f"{CLIENT}:test_wrong_body_is_a_400_and_asks_nobody"
UNUSUAL = f"{CLIENT}:test_unusual_body_passes_as_it_is"

TESTS: dict[str, tuple[str, ...]] = {
    "C01": (f"{CLIENT}:test_client_that_leaves_in_its_body_asks_nobody",),
    "C02": (
        f"{CLIENT}:test_client_that_leaves_while_waiting_frees_the_upstream",
        f"{LEAVING}:test_client_that_leaves_closes_the_upstream",
        CANCEL,
        f"{FAILOVER}:test_failures_of_leaving_clients_cool_nobody",
    ),
    "C03": (
        f"{CLIENT}:test_client_that_leaves_while_waiting_frees_the_upstream",
        f"{LEAVING}:test_client_that_leaves_closes_the_upstream",
        f"{LEAVING}:test_client_that_leaves_while_dialling_ends_the_dialling",
        CANCEL,
    ),
    "C04": (
        f"{CLIENT}:test_client_that_leaves_in_the_middle_frees_the_upstream",
        f"{LEAVING}:test_client_that_leaves_closes_the_upstream",
        f"{LEAVING}:test_tokens_that_came_before_the_client_left_are_counted",
        CANCEL,
    ),
    "C05": (
        f"{FAILOVER}:test_client_that_leaves_amid_a_backoff_ends_it",
        CANCEL,
    ),
    "C06": (
        f"{SERVER}:test_accepted_sockets_send_at_once_and_probe_silent_peers",
        f"{CONNECTION}:test_client_that_does_not_read_is_dropped",
    ),
    "C07": (
        f"{LEAVING}:test_client_that_leaves_closes_the_upstream",
        f"{CONNECTION}:test_client_that_leaves_is_told_once_within_100_ms",
    ),
    "C08": (
        f"{RELAY}:test_slow_reader_stops_the_upstream_and_loses_nothing",
        f"{NEIGHBOUR}:test_slow_and_deaf_clients_cost_the_others_nothing",
        f"{CONNECTION}:test_client_that_does_not_read_is_dropped",
    ),
    "C09": (
        f"{CONNECTION}:test_head_that_stops_coming_is_answered_408",
        f"{CONNECTION}:test_time_for_the_head_is_total_and_not_per_read",
        f"{NEIGHBOUR}:test_slow_and_deaf_clients_cost_the_others_nothing",
    ),
    "C10": (
        f"{CONNECTION}:test_body_that_stops_coming_is_answered_408",
        f"{CONNECTION}:test_body_that_trickles_for_too_long_is_answered_408",
    ),
    "C11": (
        f"{CONNECTION}:test_client_that_does_not_read_its_last_answer_is_dropped",
        f"{CONNECTION}:test_client_that_reads_slowly_but_reads_gets_all",
    ),
    "C12": (
        f"{SERVER}:test_connection_above_the_limit_is_refused_with_503",
        f"{SERVER}:test_connections_far_above_the_limit_are_dropped",
        f"{PRESSURE}:test_reserve_leaves_half_of_few_descriptors",
    ),
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
    "C23": (
        AMBIGUOUS,
        f"{SERVER}:test_http10_gets_no_continue",
    ),
    "C24": (
        "tests.server.test_app:test_confused_path_is_never_served",
        "tests.server.test_app:test_confused_path_never_passes_the_door",
    ),
    "C25": (WRONG,),
    "C26": (UNUSUAL,),
    "C27": (f"{OUTAGE}:test_storm_is_over_soon_after_the_outage",),
    "C28": (
        f"{NEIGHBOUR}:test_idle_connections_cost_little",
        f"{CONNECTION}:test_idle_connection_is_closed_without_a_word",
        f"{PRESSURE}:test_shortage_of_descriptors_closes_idle_connections",
    ),
    "C29": (
        f"{FRONT}:test_silence_before_content_outlives_a_front",
        "tests.gateway.test_relay:test_keep_alive_comments_flow_between_events",
    ),
    "C30": (f"{FRONT}:test_pieces_pass_a_front_as_they_come",),
}
