"""Which test shows which row of reliability.md, section 2.3: what goes wrong with a process and its host."""

from __future__ import annotations

PROCESS = "tests.faults.test_process"
RESTART = "tests.faults.load.test_restart"
SOAK = "tests.faults.load.test_soak:test_mixed_load_leaves_nothing_behind"
OUTAGE = "tests.faults.load.test_outage"
DRAIN = "tests.server.test_drain"
RELOAD = "tests.server.test_reload"
WORKERS = "tests.server.test_workers"
PRESSURE = "tests.server.test_pressure"
ACCEPTOR = "tests.server.test_acceptor"
GARBAGE = "tests.server.test_garbage"
ENDS = "tests.gateway.test_ends"
LOG = "tests.observe.test_access_log"
CLI_LOG = "tests.cli.test_log"
METRICS = "tests.observe.test_metrics"
SNAPSHOT = "tests.observe.test_snapshot"
SERVE = "tests.cli.test_serve"

TESTS: dict[str, tuple[str, ...]] = {
    "P01": (
        f"{RESTART}:test_end_lets_open_streams_finish",
        f"{RESTART}:test_new_requests_are_refused_at_the_end",
        f"{DRAIN}:test_drain_delay_serves_on_while_readiness_is_off",
    ),
    "P02": (
        f"{RESTART}:test_stream_longer_than_the_end_says_that_it_is_broken",
        f"{DRAIN}:test_stream_longer_than_the_drain_ends_in_an_error",
    ),
    "P03": (f"{DRAIN}:test_second_signal_ends_at_once",),
    "P04": (
        f"{RESTART}:test_reloads_under_load_fail_nothing",
        f"{RELOAD}:test_request_under_way_keeps_the_configuration_it_began_with",
        f"{RELOAD}:test_old_configuration_is_freed_without_the_collector",
    ),
    "P05": (
        f"{PROCESS}:test_broken_file_leaves_the_old_configuration",
        f"{RELOAD}:test_broken_file_leaves_the_old_one_and_says_where",
        f"{RELOAD}:test_file_that_is_gone_or_a_folder_leaves_the_old_one",
        f"{RESTART}:test_reloads_under_load_fail_nothing",
    ),
    "P06": (f"{PROCESS}:test_new_key_is_used_at_once_and_the_old_one_no_more",),
    "P07": (
        f"{WORKERS}:test_killed_worker_is_replaced_and_its_counts_stay",
        f"{WORKERS}:test_worker_that_dies_in_a_roll_is_replaced_once",
        f"{RESTART}:test_rolls_under_load_fail_nothing",
    ),
    "P08": (f"{ACCEPTOR}:test_nobody_waits_for_a_worker_that_stands_still",),
    "P09": (
        "tests.server.test_app:test_failing_work_is_answered_and_logged",
        f"{ENDS}:test_unforeseen_failure_in_a_whole_answer_is_a_500_at_once",
        f"{ENDS}:test_unforeseen_failure_in_a_stream_is_an_error_event",
        "tests.http.test_client_pool:test_sink_failing_on_an_error_does_not_stop_the_ticker",
        f"{RELOAD}:test_unforeseen_failure_leaves_the_old_one",
    ),
    "P10": (
        f"{ENDS}:test_large_answer_is_translated_off_the_loop",
        "tests.http.test_server:test_flood_of_small_requests_leaves_the_loop_to_others",
        f"{GARBAGE}:test_many_live_objects_are_never_looked_at_all_at_once",
        f"{RESTART}:test_reloads_under_load_fail_nothing",
        SOAK,
    ),
    "P11": (
        f"{PRESSURE}:test_at_a_limit_new_requests_are_refused_and_the_stream_goes_on",
        f"{PRESSURE}:test_near_a_limit_each_answer_closes_its_connection",
        f"{PRESSURE}:test_limits_come_from_the_settings_else_from_the_cgroup_of_all_workers",
    ),
    "P12": (
        f"{ACCEPTOR}:test_want_of_descriptors_is_told_and_outlived",
        f"{PRESSURE}:test_shortage_of_descriptors_closes_idle_connections",
    ),
    "P13": (
        f"{PROCESS}:test_full_disk_for_the_log_costs_lines_and_no_request",
        f"{SNAPSHOT}:test_folder_that_is_gone_is_told_once_and_stops_nobody",
        f"{LOG}:test_losses_are_reported_once_it_flows_again",
    ),
    "P14": (f"{LOG}:test_blocked_pipe_costs_lines_and_no_time",),
    "P15": (
        f"{LOG}:test_blocked_pipe_costs_lines_and_no_time",
        f"{LOG}:test_closed_pipe_kills_nothing",
        f"{CLI_LOG}:test_full_pipe_costs_the_line_and_no_time",
        f"{CLI_LOG}:test_closed_stderr_is_no_failure",
        f"{SERVE}:test_serve_needs_no_standard_streams",
    ),
    "P16": (f"{PROCESS}:test_clock_that_jumps_ends_no_request",),
    "P17": (
        "tests.http.test_connect:test_ca_file_without_certificate_is_an_error",
        "tests.http.test_connect:test_slow_name_server_is_a_dns_error_in_time",
        f"{SERVE}:test_foreign_address_is_one_line_with_the_remedy",
    ),
    "P18": (
        f"{SERVE}:test_busy_port_is_one_line_with_the_remedy",
        f"{SERVE}:test_foreign_address_is_one_line_with_the_remedy",
    ),
    "P19": (
        f"{PROCESS}:test_gateway_is_the_same_in_any_environment",
        f"{SERVE}:test_banner_honours_no_color_in_any_locale",
    ),
    "P20": (SOAK,),
    "P21": (
        f"{METRICS}:test_labels_stay_bounded_whatever_comes",
        "tests.e2e.test_accounting:test_unknown_models_make_no_label_of_their_own",
    ),
    "P22": (
        f"{PROCESS}:test_outage_writes_one_line_a_request",
        f"{LOG}:test_line_is_bounded_whatever_the_names",
    ),
    "P23": (f"{RESTART}:test_rolls_under_load_fail_nothing",),
    "P24": (f"{OUTAGE}:test_overload_is_shed_and_the_rest_is_served",),
}
