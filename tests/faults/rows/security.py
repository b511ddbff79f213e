"""Which test shows which row of reliability.md, section 3, as far as it is of phase 1."""

from __future__ import annotations

APP = "tests.server.test_app"
SECRETS = "tests.e2e.test_secrets"
SECRET = "tests.config.test_secret"
SERVE = "tests.cli.test_serve"
PROCESS = "tests.faults.test_process"
CLIENT = "tests.faults.test_client"
FRONT = "tests.faults.test_smuggling"
HTTP = "tests.http.test_smuggling"
MEDIA = "tests.transport.test_media"
PROXY = "tests.http.test_proxy"
CONNECT = "tests.http.test_connect"
DOCUMENT = "tests.config.test_document"
LOAD = "tests.config.test_load"
LOG = "tests.observe.test_access_log"
MASKING = "tests.wire.test_masking"
NEIGHBOUR = "tests.faults.load.test_neighbour"
AMBIGUOUS = f"{HTTP}:test_ambiguous_request_is_refused_and_its_tail_not_executed"

TESTS: dict[str, tuple[str, ...]] = {
    "S01": (f"{APP}:test_every_route_asks_for_the_key_with_one_answer",),
    "S02": (
        f"{SERVE}:test_serve_refuses_to_be_reached_without_a_master_key",
        "tests.cli.test_banner:test_banner_warns_of_an_open_door",
    ),
    "S03": (f"{APP}:test_headers_do_not_move_a_request", AMBIGUOUS),
    "S04": (
        f"{APP}:test_confused_path_is_never_served",
        f"{APP}:test_confused_path_never_passes_the_door",
    ),
    "S05": (
        f"{SECRET}:test_secret_equals_only_a_secret_of_the_same_text",
        f"{PROCESS}:test_keys_are_compared_by_digest",
    ),
    "S18": (f"{SECRETS}:test_body_cannot_choose_where_a_request_goes",),
    "S19": (f"{SECRETS}:test_no_header_of_the_client_goes_upstream",),
    "S20": (
        f"{CLIENT}:test_name_that_a_pattern_passes_on_stays_in_its_place",
        f"{CLIENT}:test_strange_name_of_a_model_is_not_found",
    ),
    "S21": ("tests.http.test_client:test_redirect_is_handed_up_and_not_followed",),
    "S22": (
        f"{PROXY}:test_pick_proxy_follows_the_environment",
        f"{PROCESS}:test_source_runs_no_code_that_came_with_data",
    ),
    "S23": (
        f"{MEDIA}:test_nothing_is_fetched_unless_it_is_on",
        f"{MEDIA}:test_gateway_as_configured_asks_no_address_of_its_own_network",
        f"{MEDIA}:test_no_spelling_of_loopback_is_dialed",
    ),
    "S26": (
        f"{CONNECT}:test_context_verifies_by_default",
        f"{CONNECT}:test_bad_certificate_is_a_tls_error_and_nothing_is_sent",
    ),
    "S27": (f"{PROCESS}:test_source_runs_no_code_that_came_with_data",),
    "S28": (
        f"{DOCUMENT}:test_document_refuses_with_a_place",
        f"{DOCUMENT}:test_document_refuses_what_nests_too_deeply",
        f"{DOCUMENT}:test_document_refuses_what_holds_too_much_and_soon",
    ),
    "S31": (f"{APP}:test_confused_path_is_never_served",),
    "S32": (f"{LOAD}:test_file_with_keys_that_all_may_read_is_warned_of",),
    "S33": (
        AMBIGUOUS,
        f"{FRONT}:test_matrix_is_as_large_as_promised",
        f"{FRONT}:test_no_ambiguous_request_gets_a_second_answer",
        f"{FRONT}:test_request_within_a_body_stays_a_body",
        f"{FRONT}:test_nothing_is_smuggled_past_a_front",
        f"{HTTP}:test_trailers_never_become_headers",
    ),
    "S34": (AMBIGUOUS, f"{APP}:test_two_authorization_headers_are_refused"),
    "S35": (
        f"{CLIENT}:test_name_that_a_pattern_passes_on_stays_in_its_place",
        f"{APP}:test_every_answer_has_an_id_of_its_own",
        f"{LOG}:test_hostile_names_cannot_steer_a_terminal",
        f"{SECRETS}:test_names_of_dropped_fields_stay_in_their_header",
    ),
    "S36": (f"{NEIGHBOUR}:test_slow_and_deaf_clients_cost_the_others_nothing",),
    "S37": (f"{SECRETS}:test_key_and_address_are_shown_nowhere",),
    "S38": (f"{APP}:test_health_is_open_and_metrics_only_where_the_configuration_says_so",),
    "S39": (AMBIGUOUS, f"{HTTP}:test_unusual_request_is_served_and_so_is_the_next"),
    "S40": (
        f"{APP}:test_cors_is_off_by_default",
        f"{APP}:test_other_origins_are_not_let_in",
        f"{APP}:test_star_lets_any_origin_in_without_credentials",
    ),
    "S41": (f"{APP}:test_headers_do_not_move_a_request",),
    "S42": (
        f"{SECRETS}:test_key_and_address_are_shown_nowhere",
        f"{SECRETS}:test_master_key_is_shown_nowhere",
        f"{SECRETS}:test_environment_is_shown_nowhere",
    ),
    "S43": (f"{SECRETS}:test_no_header_of_the_client_goes_upstream",),
    "S44": (f"{SECRETS}:test_master_key_is_shown_nowhere",),
    "S45": (
        f"{SECRET}:test_secret_hides_when_it_is_printed",
        f"{SECRET}:test_secret_hides_in_a_traceback_with_locals",
        f"{SECRET}:test_secret_state_is_not_given_out",
        "tests.test_runtime:test_repr_of_no_object_shows_a_key",
    ),
    "S46": (f"{LOG}:test_detail_that_may_quote_a_prompt_is_never_written",),
    "S49": (
        f"{MASKING}:test_mask_hides_credentials",
        "tests.gateway.test_ends:test_key_is_masked_wherever_a_provider_repeats_it",
    ),
    "S64": (f"{PROCESS}:test_import_makes_no_connection", f"{PROCESS}:test_runtime_dependencies_are_few_and_known"),
}
