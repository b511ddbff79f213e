"""The 140 edge cases of reference/wire/edge-cases.md: what each promises, and the test that shows it.

A case that does not apply has a reason in place of tests. `test_registry.py` holds each name to a test that there
is, and each numbered test of this folder to an entry here.
"""

from __future__ import annotations

from typing import NamedTuple

A = "tests.edge_cases.test_a_client_stream"
B = "tests.edge_cases.test_b_upstream_stream"
C = "tests.edge_cases.test_c_openai"
D = "tests.edge_cases.test_d_anthropic_request"
E = "tests.edge_cases.test_e_anthropic_response"
F = "tests.edge_cases.test_f_gemini_request"
G = "tests.edge_cases.test_g_gemini_response"
H = "tests.edge_cases.test_h_cross_cutting"


class Row(NamedTuple):
    """`tests` are written module:function; `reason` tells why there are none."""

    promise: str
    tests: tuple[str, ...] = ()
    reason: str = ""


ROWS: dict[int, Row] = {
    1: Row("The role is said once a choice, in its first delta.", (f"{A}:test_001_role_is_in_the_first_delta_only",)),
    2: Row("A call's id and name are said once.", (f"{A}:test_002_id_and_name_of_a_call_are_said_once",)),
    3: Row(
        "Calls are counted from 0 by a counter of their own.",
        (f"{A}:test_003_calls_are_counted_from_zero_whatever_stands_before_them",),
    ),
    4: Row("Every delta of a call has an integer index.", (f"{A}:test_004_every_delta_of_a_call_has_an_index",)),
    5: Row("One id and one time for all chunks of an answer.", (f"{A}:test_005_id_and_time_are_one_for_all_chunks",)),
    6: Row("Every chunk names the served model.", (f"{A}:test_006_every_chunk_names_the_served_model",)),
    7: Row("An upstream's keep-alive makes no delta.", (f"{A}:test_007_upstreams_keep_alive_makes_no_delta",)),
    8: Row(
        "The finish reason is one of OpenAI's five.",
        (
            f"{A}:test_008_finish_reason_is_one_of_openais_five",
            f"{A}:test_008_finish_reason_of_a_host_like_openai_is_openais_too",
        ),
    ),
    9: Row(
        "A choice finishes once, at the message's end.", (f"{A}:test_009_finish_comes_once_at_the_end_of_the_message",)
    ),
    10: Row("A stream that was cut short or filtered says so.", (f"{A}:test_010_stream_tells_what_cut_it_short",)),
    11: Row("Calls beside empty content reach the client.", (f"{A}:test_011_calls_beside_empty_content_survive",)),
    12: Row("Usage comes last, and is null before.", (f"{A}:test_012_usage_comes_last_and_is_null_before",)),
    13: Row(
        "Usage is told only to a client that asked.",
        (
            f"{A}:test_013_usage_is_not_told_to_those_who_did_not_ask",
            f"{A}:test_013_usage_is_asked_for_as_the_client_asked",
        ),
    ),
    14: Row("A chunk without choices bears usage.", (f"{A}:test_014_chunks_without_choices_bear_usage",)),
    15: Row(
        "A broken stream ends in an error event, never in a finish or [DONE].",
        (
            f"{A}:test_015_broken_stream_ends_in_an_error_and_no_finish",
            f"{A}:test_015_error_event_ends_with_its_blank_line",
        ),
    ),
    16: Row(
        "A client that leaves ends the upstream's call, and its tokens are counted.",
        (
            "tests.e2e.test_leaving:test_client_that_leaves_closes_the_upstream",
            "tests.e2e.test_leaving:test_tokens_that_came_before_the_client_left_are_counted",
        ),
    ),
    17: Row(
        "An error before any content is a status, not an event.",
        (
            f"{A}:test_017_error_before_any_content_can_still_be_a_status",
            "tests.gateway.test_relay:test_error_before_content_keeps_its_status",
        ),
    ),
    18: Row(
        "Lists in deltas come once, or indexed.",
        (
            f"{A}:test_018_annotations_come_in_one_delta",
            f"{A}:test_018_blocks_of_thinking_are_indexed",
        ),
    ),
    19: Row("A keep-alive is a comment.", (f"{A}:test_019_keep_alive_is_a_comment",)),
    20: Row(
        "stream_options without a stream are refused.",
        (
            f"{A}:test_020_stream_options_without_a_stream_are_refused",
            f"{A}:test_020_stream_options_of_a_stream_are_taken",
            f"{A}:test_020_stream_options_are_openais_to_refuse",
        ),
    ),
    21: Row("An event split anywhere is the same event.", (f"{B}:test_021_event_split_anywhere_is_the_same_event",)),
    22: Row(
        "Unknown event names are ignored.",
        (
            f"{B}:test_022_unknown_event_names_are_ignored",
            f"{B}:test_022_chunk_of_another_shape_passes_as_it_came",
        ),
    ),
    23: Row(
        "Lines, ends of lines and fields are read as the standard says.",
        ("tests.wire.test_sse:test_form_is_read_as_the_standard_says_however_it_is_cut",),
    ),
    24: Row(
        "Only CR and LF end a line.",
        (
            f"{B}:test_024_separators_of_unicode_are_no_line_breaks",
            f"{B}:test_024_separators_written_to_the_client_stay_in_their_line",
        ),
    ),
    25: Row(
        "Gemini's arrays and bare errors are read.",
        (
            f"{B}:test_025_gemini_may_answer_with_an_array",
            f"{B}:test_025_gemini_may_err_within_the_stream_in_any_form",
        ),
    ),
    26: Row("An end without a finish is a truncation.", (f"{B}:test_026_end_without_a_finish_is_a_truncation",)),
    27: Row("A second start changes neither id nor role.", (f"{B}:test_027_second_start_changes_neither_id_nor_role",)),
    28: Row(
        "Blocks and deltas of unknown types are ignored.",
        (
            f"{B}:test_028_block_of_an_unknown_type_is_ignored_and_counts_for_nothing",
            f"{B}:test_028_delta_of_an_unknown_type_is_ignored",
        ),
    ),
    29: Row(
        "A compressed answer is decoded.",
        ("tests.http.test_decoding:test_compressed_answer_arrives_decoded_without_its_stale_headers",),
    ),
    30: Row(
        "Tools go without reasoning where OpenAI refuses both.",
        (
            f"{C}:test_030_tools_are_called_without_reasoning_where_both_are_refused",
            f"{C}:test_030_effort_is_the_clients_everywhere_else",
        ),
    ),
    31: Row(
        "max_tokens is renamed where its old name is refused.",
        (
            f"{C}:test_031_max_tokens_is_renamed_where_its_old_name_is_refused",
            f"{C}:test_031_max_tokens_keeps_its_name_elsewhere",
            f"{C}:test_031_newer_name_counts_where_both_are_given",
        ),
    ),
    32: Row(
        "Sampling of a model that reasons is dropped and said so.",
        (
            f"{C}:test_032_sampling_of_a_model_that_reasons_is_dropped_and_said_so",
            f"{C}:test_032_sampling_of_a_model_that_takes_it_is_sent",
            f"{C}:test_032_values_that_ask_for_nothing_are_sent",
        ),
    ),
    33: Row(
        "A spent quota is not tried again.",
        (
            f"{C}:test_033_spent_quota_is_not_worth_another_attempt",
            "tests.faults.test_upstream:test_spent_quota_asks_for_no_further_try",
        ),
    ),
    34: Row(
        "OpenAI's stop beside calls passes; a foreign call finishes as tool_calls.",
        (
            f"{A}:test_034_foreign_call_finishes_as_a_call",
            f"{C}:test_034_stop_beside_calls_passes",
        ),
    ),
    35: Row("An empty list of calls is left out.", (f"{C}:test_035_empty_list_of_calls_is_left_out",)),
    36: Row(
        "A provider's delay is relayed as it came, whatever an SDK makes of it.",
        ("tests.faults.test_upstream:test_delay_of_a_rate_limit_is_relayed_or_left_out",),
    ),
    37: Row(
        "Our own members do not return to OpenAI.",
        (
            f"{C}:test_037_our_own_members_do_not_return_to_openai",
            f"{C}:test_037_members_of_other_providers_are_dropped_and_said_so",
            f"{C}:test_037_words_about_our_members_stay",
            f"{C}:test_037_hosts_like_openai_get_them_back",
        ),
    ),
    38: Row("null is absent.", (f"{C}:test_038_null_is_absent_for_other_providers",)),
    39: Row(
        "parallel_tool_calls without tools is not sent to OpenAI.",
        (f"{C}:test_039_parallel_calls_without_tools_are_not_asked_for",),
    ),
    40: Row("A later system message stays in its place.", (f"{D}:test_040_later_system_message_stays_in_its_place",)),
    41: Row("A system message alone gets a user's.", (f"{D}:test_041_system_alone_gets_a_users_message",)),
    42: Row(
        "All results of a turn travel in one user message.",
        (f"{D}:test_042_results_of_one_turn_travel_in_one_user_message",),
    ),
    43: Row(
        "Words after results follow them in that message.",
        (f"{D}:test_043_words_after_results_follow_them_in_the_same_message",),
    ),
    44: Row("The last of two results counts.", (f"{D}:test_044_last_of_two_results_counts",)),
    45: Row(
        "An orphan becomes words, a missing result an error; never both.",
        (f"{D}:test_045_result_without_a_call_is_words_and_call_without_a_result_an_error",),
    ),
    46: Row("A call without words has no empty text.", (f"{D}:test_046_call_without_words_has_no_block_of_text",)),
    47: Row(
        "The assistant's last words lose the space at their end.",
        (f"{D}:test_047_last_words_lose_the_space_at_their_end",),
    ),
    48: Row("No arguments are an empty object.", (f"{D}:test_048_no_arguments_are_an_empty_object",)),
    49: Row("Arguments that are no object are wrapped.", (f"{D}:test_049_arguments_that_are_no_object_are_wrapped",)),
    50: Row(
        "Illegal ids are made fit alike in call and result.",
        (f"{D}:test_050_illegal_id_is_made_fit_alike_in_call_and_result",),
    ),
    51: Row(
        "Names that would become one stay apart, and are changed back.",
        (f"{D}:test_051_names_that_would_become_one_stay_apart_and_are_changed_back",),
    ),
    52: Row(
        "A tool without a schema takes an empty object.", (f"{D}:test_052_tool_without_a_schema_takes_an_empty_object",)
    ),
    53: Row("A union at a schema's top becomes one object.", (f"{D}:test_053_union_at_the_top_becomes_one_object",)),
    54: Row(
        "required, none and named tools are said as Anthropic says them.",
        (f"{D}:test_054_choice_of_tools_is_said_as_anthropic_says_it",),
    ),
    55: Row(
        "tool_choice none has no further members.",
        (f"{D}:test_055_one_call_at_a_time_is_asked_for_where_there_may_be_calls",),
    ),
    56: Row("allowed_tools filter the tools.", (f"{D}:test_056_allowed_tools_are_the_tools",)),
    57: Row(
        "A tool that cannot be forced is asked for in words.",
        (f"{D}:test_057_tool_that_cannot_be_forced_is_asked_for_in_words",),
    ),
    58: Row("Tools of the history are declared.", (f"{D}:test_058_tools_of_the_history_are_declared",)),
    59: Row("max_tokens defaults to what the model can do.", (f"{D}:test_059_max_tokens_is_what_the_model_can_do",)),
    60: Row("stop is forwarded, but for white space.", (f"{D}:test_060_stop_is_forwarded_but_for_white_space",)),
    61: Row("Of the sampling goes what the family takes.", (f"{D}:test_061_sampling_is_what_the_family_takes",)),
    62: Row(
        "A thinking budget stays below max_tokens, or is dropped.",
        (f"{D}:test_062_thinking_without_room_for_it_is_dropped",),
    ),
    63: Row(
        "Thinking by budget is off in a loop that lost its thoughts.",
        (f"{D}:test_063_thinking_is_off_in_a_loop_that_lost_its_thoughts",),
    ),
    64: Row("A block that is only signed is kept.", (f"{D}:test_064_block_with_nothing_but_its_signature_is_kept",)),
    65: Row(
        "Content of the provider's tools keeps its order.",
        (f"{D}:test_065_content_of_the_providers_tools_keeps_its_order",),
    ),
    66: Row("Encrypted results of the provider's tools go round.", (f"{D}:test_066_encrypted_results_go_round",)),
    67: Row("Thinking that nobody signed stays out.", (f"{D}:test_067_thinking_that_nobody_signed_stays_out",)),
    68: Row(
        "At most four cache markers, and none where they are refused.",
        (f"{D}:test_068_markers_are_left_out_where_they_are_refused_and_the_last_four_kept",),
    ),
    69: Row("A user who is a person is hashed.", (f"{D}:test_069_user_who_is_a_person_is_hashed",)),
    70: Row(
        "An image is what its bytes are; http is refused and nothing fetched.",
        (f"{D}:test_070_image_is_what_its_bytes_are_and_nothing_is_fetched",),
    ),
    71: Row("A PDF in an image_url is a document.", (f"{D}:test_071_pdf_within_an_image_url_is_a_document",)),
    72: Row("An image in a result is an image.", (f"{D}:test_072_image_in_a_result_is_an_image",)),
    73: Row(
        "Schemas are made fit; the tool that stands in answers in text.",
        (
            f"{D}:test_073_schema_is_made_fit",
            f"{D}:test_073_tool_that_stands_in_for_a_schema_answers_in_text",
        ),
    ),
    74: Row(
        "A service tier that Anthropic lacks is omitted and said so.",
        (f"{D}:test_074_service_tier_that_anthropic_lacks_is_omitted_and_said_so",),
    ),
    75: Row(
        "One credential goes upstream, and it is ours.",
        ("tests.e2e.test_secrets:test_no_header_of_the_client_goes_upstream",),
    ),
    76: Row(
        "The text is that of the text blocks.",
        (
            f"{E}:test_076_text_is_that_of_the_text_blocks",
            f"{E}:test_076_streamed_text_is_that_of_the_text_blocks",
        ),
    ),
    77: Row(
        "Text around calls is joined; no blocks are a stop.",
        (
            f"{E}:test_077_text_around_a_call_is_joined",
            f"{E}:test_077_answer_without_blocks_stops",
        ),
    ),
    78: Row(
        "The empty input of a block's start is not its arguments.",
        (f"{E}:test_078_empty_input_of_a_blocks_start_is_not_its_arguments",),
    ),
    79: Row("A call without arguments has {}.", (f"{E}:test_079_call_without_arguments_has_an_empty_object",)),
    80: Row("Input of a provider's tool is no call.", (f"{E}:test_080_input_of_a_providers_tool_is_no_call",)),
    81: Row("A refusal is content_filter, with its words.", (f"{E}:test_081_refusal_is_told_with_its_words",)),
    82: Row("A full context window is a length.", (f"{E}:test_082_full_window_is_a_length",)),
    83: Row("pause_turn is a length.", (f"{E}:test_083_turn_that_pauses_is_unfinished",)),
    84: Row(
        "tool_calls becomes tool_use for Anthropic's clients.",
        reason="No endpoint speaks the Messages protocol to clients yet (issue 7), so no finish is translated back.",
    ),
    85: Row("The prompt includes what was cached.", (f"{E}:test_085_prompt_includes_what_was_cached",)),
    86: Row("Counts of a stream replace one another.", (f"{E}:test_086_counts_of_a_stream_replace_one_another",)),
    87: Row(
        "Iterations are not added, but for those on the side.",
        (f"{E}:test_087_iterations_count_once_and_those_on_the_side_too",),
    ),
    88: Row(
        "529 and 413 are judged whatever their body.",
        (
            f"{E}:test_088_overload_is_worth_another_attempt_whatever_its_body",
            f"{E}:test_088_page_for_a_large_body_is_a_413",
        ),
    ),
    89: Row(
        "A prompt that is too long has OpenAI's code.", (f"{E}:test_089_prompt_that_is_too_long_has_openais_code",)
    ),
    90: Row("A spent budget is a quota.", (f"{E}:test_090_spent_budget_is_a_quota",)),
    91: Row("A system message alone gets a user's part.", (f"{F}:test_091_system_alone_gets_a_users_part",)),
    92: Row("All leading system messages are kept.", (f"{F}:test_092_both_system_messages_are_kept",)),
    93: Row(
        "Calls and results of the history are parts.", (f"{F}:test_093_calls_and_results_of_the_history_are_parts",)
    ),
    94: Row("A result's name is its call's.", (f"{F}:test_094_name_of_a_result_is_its_calls_whatever_stands_between",)),
    95: Row(
        "Results stand in one content, in order and number of the calls.",
        (f"{F}:test_095_results_stand_in_one_content_in_the_order_of_their_calls",),
    ),
    96: Row("Ids only where the model takes them.", (f"{F}:test_096_calls_bear_ids_where_the_model_takes_them",)),
    97: Row(
        "A step without a signature gets the dummy on its first call.",
        (
            f"{F}:test_097_first_call_of_each_step_without_a_signature_gets_the_dummy",
            f"{F}:test_097_signature_of_the_client_is_sent_in_its_place",
            f"{F}:test_097_text_in_the_history_is_told_as_text",
        ),
    ),
    98: Row("A signature is sent once.", (f"{F}:test_098_signature_is_sent_once",)),
    99: Row(
        "A signature on an id reaches nobody but Gemini.",
        (
            f"{C}:test_099_signature_on_an_id_is_taken_off_it",
            f"{F}:test_099_signature_on_an_id_is_taken_off_it",
            f"{F}:test_099_signature_on_an_id_does_not_reach_anthropic",
        ),
    ),
    100: Row("Output with a $ref stays text.", (f"{F}:test_100_output_with_a_reference_stays_text",)),
    101: Row("A result is an object.", (f"{F}:test_101_output_is_an_object",)),
    102: Row(
        "stop, seed and tool_choice are forwarded; a sixth sequence is refused.",
        (
            f"{F}:test_102_stop_is_forwarded_up_to_five",
            f"{F}:test_102_seed_and_choice_of_tools_are_forwarded",
        ),
    ),
    103: Row(
        "A recursive schema costs no more than its size.",
        (f"{F}:test_103_recursive_schema_costs_no_more_than_its_size",),
    ),
    104: Row(
        "Schemas go as JSON Schema, which takes what the subset does not.",
        (f"{F}:test_104_schema_passes_as_json_schema",),
    ),
    105: Row(
        "Search beside functions is dropped and said so before Gemini 3.",
        (f"{F}:test_105_search_beside_functions_is_for_newer_models",),
    ),
    106: Row("service_tier auto is omitted.", (f"{F}:test_106_service_tier_auto_is_omitted",)),
    107: Row("All images are sent.", (f"{F}:test_107_all_images_are_sent",)),
    108: Row(
        "Media alone gets words where the model wants them.",
        (f"{F}:test_108_media_alone_gets_words_where_the_model_wants_them",),
    ),
    109: Row(
        "A schema beside tools is refused before Gemini 3.", (f"{F}:test_109_schema_beside_tools_is_for_newer_models",)
    ),
    110: Row(
        "Effort none is as little as the model can.", (f"{F}:test_110_effort_none_is_as_little_as_the_model_can",)
    ),
    111: Row("Every part is read.", (f"{G}:test_111_every_part_is_read",)),
    112: Row("A call before the stop finishes as a call.", (f"{G}:test_112_call_before_the_stop_finishes_as_a_call",)),
    113: Row("A call that was cut short is a length.", (f"{G}:test_113_call_cut_short_is_a_length",)),
    114: Row(
        "Calls without arguments or ids are whole and distinct.",
        (f"{G}:test_114_calls_without_arguments_or_ids_are_two_whole_calls",),
    ),
    115: Row("Parts are joined as they are.", (f"{G}:test_115_parts_are_joined_as_they_are",)),
    116: Row(
        "All thinking and no words is a length, with its tokens.",
        (f"{G}:test_116_answer_that_was_all_thinking_is_a_length_with_its_tokens",),
    ),
    117: Row("A blocked prompt is a refusal.", (f"{G}:test_117_blocked_prompt_is_a_refusal",)),
    118: Row("A chunk of metadata makes no delta.", (f"{G}:test_118_chunk_of_metadata_makes_no_delta",)),
    119: Row("Every filter is content_filter.", (f"{G}:test_119_filtered_answer_says_so",)),
    120: Row("Thoughts are reasoning_content.", (f"{G}:test_120_thoughts_are_no_content",)),
    121: Row("Thoughts are counted once.", (f"{G}:test_121_thoughts_are_counted_once",)),
    122: Row("The last usage counts.", (f"{G}:test_122_last_usage_counts",)),
    123: Row(
        "Citations count characters, from 0 where nothing is said.",
        (f"{G}:test_123_citation_counts_characters_from_an_absent_start",),
    ),
    124: Row("A rejected key is not the client's fault.", (f"{G}:test_124_rejected_key_is_not_the_clients_fault",)),
    125: Row(
        "The delay stands in the body; a day's quota is not tried again.",
        (
            f"{G}:test_125_delay_stands_in_the_body",
            f"{G}:test_125_quota_of_a_day_is_not_worth_another_attempt",
        ),
    ),
    126: Row("CONTINUATION is a length.", (f"{G}:test_126_answer_to_be_continued_is_unfinished",)),
    127: Row("Arguments in pieces are put together.", (f"{G}:test_127_arguments_in_pieces_are_put_together",)),
    128: Row(
        "A fallback tells the history without the other provider's marks.",
        (
            f"{H}:test_128_history_of_another_provider_is_told_without_its_marks",
            f"{H}:test_128_attempt_on_one_provider_leaves_no_trace_in_the_next",
        ),
    ),
    129: Row(
        "After content there is no fallback but an error event.",
        ("tests.gateway.test_relay:test_error_after_content_is_an_event_and_no_done",),
    ),
    130: Row(
        "n above 1 is refused where there is one answer.",
        (f"{H}:test_130_several_answers_are_refused_where_there_is_one",),
    ),
    131: Row(
        "Logprobs that cannot be had are dropped and said so; null in the choice.",
        (
            f"{H}:test_131_logprobs_that_cannot_be_had_are_dropped_and_said_so",
            f"{H}:test_131_streamed_choice_says_nothing_of_logprobs_that_there_are_not",
        ),
    ),
    132: Row(
        "Every role and kind is taken, and an unknown role refused with its place.",
        (
            f"{H}:test_132_every_role_and_kind_is_taken",
            f"{H}:test_132_unknown_role_is_refused_with_its_place",
        ),
    ),
    133: Row("One part of text is the same as a string.", (f"{H}:test_133_one_part_of_text_is_the_same_as_a_string",)),
    134: Row(
        "Lone surrogates are refused, odd characters arrive.",
        (
            f"{H}:test_134_lone_surrogate_is_a_wrong_request",
            f"{H}:test_134_odd_characters_arrive",
        ),
    ),
    135: Row(
        "Numbers keep their digits.",
        (
            f"{H}:test_135_numbers_of_arguments_keep_their_digits",
            f"{H}:test_135_numbers_of_an_answers_arguments_keep_their_digits",
        ),
    ),
    136: Row("Keys keep their order.", (f"{H}:test_136_keys_keep_their_order",)),
    137: Row("Keys in a provider's error are masked.", (f"{H}:test_137_key_in_a_providers_error_is_masked",)),
    138: Row("A schema needs no name.", (f"{H}:test_138_schema_needs_no_name",)),
    139: Row("Embeddings are encoded as asked.", reason="There is no embeddings endpoint yet (issue 7)."),
    140: Row("Embeddings' usage is filled in.", reason="There is no embeddings endpoint yet (issue 7)."),
}
