"""What LiteLLM's file means here: which keys are read, which have no effect, which are refused, and why.

Tables, and two pure functions over a model's name. Where a key is read, `schema.py` has its field; everything else
that LiteLLM knows stands here, so that a file that works there loads here and says what it does not do.
Source: litellm-config.md 4.1 to 4.5, and LiteLLM's own page of all settings.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import NamedTuple


class Keys(NamedTuple):
    """A section's keys that are not read: `later` will be, `never` has no meaning here, `refused` says why."""

    later: frozenset[str] = frozenset()
    never: frozenset[str] = frozenset()
    refused: MappingProxyType[str, str] = MappingProxyType({})

    def names(self) -> frozenset[str]:
        return self.later | self.never | self.refused.keys()


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _refused(reasons: dict[str, str]) -> MappingProxyType[str, str]:
    return MappingProxyType({key: reason for keys, reason in reasons.items() for key in keys.split()})


_FALLBACKS = _words("fallbacks context_window_fallbacks content_policy_fallbacks default_fallbacks max_fallbacks")
_GUARD = "put a gateway with guardrails in front, or remove the key if you can do without"
_AUTH = "use general_settings.master_key, or put an authenticating proxy in front and remove the key"
_SECRETS = "put the keys into the environment and write os.environ/NAME"

SECTIONS = MappingProxyType(
    {
        "": Keys(
            later=_words("include environment_variables credential_list callback_settings"),
            never=_words(
                """files_settings finetune_settings vector_store_registry vector_stores search_tools prompts
                assistant_settings agent_list mcp_aliases ui_settings store_model_in_db"""
            ),
            refused=_refused(
                {
                    "fallbacks": "write it under router_settings",
                    "guardrails policies policy_attachments": _GUARD,
                    "mcp_servers mcp_tools": "FeatherGate is no MCP gateway: remove the key",
                    "custom_auth": _AUTH,
                    "key_management_system": _SECRETS,
                }
            ),
        ),
        "model_list": Keys(later=_words("itpm otpm tags access_groups litellm_credential_name")),
        "litellm_params": Keys(
            later=_FALLBACKS
            | _words(
                """itpm otpm tags max_budget budget_duration custom_llm_provider litellm_credential_name api_type
                additional_drop_params allowed_openai_params base_model modify_params ssl_verify mock_timeout
                use_in_pass_through model_info cache_control_injection_points region_name tenant_id client_id
                client_secret default_api_key_tpm_limit default_api_key_rpm_limit max_file_size_mb cache
                merge_reasoning_content_in_choices configurable_clientside_auth_params stream_chunk_size
                use_litellm_proxy use_chat_completions_api litellm_trace_id hf_model_name prompt_id
                supports_system_message tiered_pricing
                enable_json_schema_validation cancel_on_disconnect tier default_headers default_query
                extra_query"""
            ),
            refused=_refused(
                {
                    "guardrails": _GUARD,
                    "auto_router_config auto_router_config_path auto_router_default_model "
                    "auto_router_embedding_model": "name the models, and remove the key",
                }
            ),
        ),
        "model_info": Keys(later=_words("allowed_fails_policy")),
        "litellm_settings": Keys(
            later=_words(
                """routing_strategy_args enable_pre_call_checks cache
                cache_params json_logs set_verbose modify_params max_budget budget_duration ssl_verify
                ssl_certificate service_callback service_callbacks default_key_generate_params
                upperbound_key_generate_params num_retries_per_request cancel_on_disconnect force_ipv4
                additional_drop_params max_end_user_budget max_internal_user_budget
                internal_user_budget_duration enable_json_schema_validation enable_tag_filtering
                credential_list callback_settings"""
            ),
            never=_words(
                """telemetry langfuse_default_tags redact_user_api_key_info mcp_aliases key_generation_settings
                enable_preview_features disable_hf_tokenizer_download disable_end_user_cost_tracking
                disable_end_user_cost_tracking_prometheus_only disable_copilot_system_to_assistant
                disable_add_transform_inline_image_block enable_key_alias_format_validation
                use_chat_completions_url_for_anthropic_messages default_internal_user_params
                default_team_settings default_team_params custom_provider_map suppress_debug_info
                prometheus_initialize_budget_metrics s3_callback_params gcs_callback_params log_raw_request_response
                custom_prometheus_metadata_labels prometheus_metrics_config priority_reservation
                LITELLM_DISABLE_STOP_SEQUENCE_LIMIT ui_theme_config public_model_groups"""
            ),
            refused=_refused(
                {
                    "guardrails": _GUARD,
                    "blocked_user_list banned_keywords_list": _GUARD,
                    "custom_callbacks": "Python hooks are not run here: remove the key",
                }
            ),
        ),
        "general_settings": Keys(
            later=_words(
                """database_url max_parallel_requests global_max_parallel_requests max_request_size_mb
                max_response_size_mb pass_through_endpoints user_header_name user_header_mappings alerting
                alerting_threshold alerting_args alert_types alert_to_webhook_url max_budget budget_duration
                litellm_key_header_name background_health_checks health_check_interval health_check_details
                forward_client_headers_to_llm_api forward_openai_org_id infer_model_from_keys completion_model
                coordination_redis enforce_user_param enforced_params use_x_forwarded_for public_routes
                user_api_key_cache_ttl database_connection_timeout allow_requests_on_db_unavailable
                allow_client_side_credentials disable_spend_logs"""
            ),
            never=_words(
                """store_model_in_db proxy_batch_write_at allow_user_auth store_prompts_in_spend_logs
                database_connection_pool_limit disable_error_logs telemetry rust service_callback
                disable_spend_updates disable_master_key_return disable_reset_budget
                disable_adding_master_key_hash_to_db disable_retry_on_max_parallel_request_limit_error
                disable_responses_id_security disable_prisma_schema_update default_team_disabled
                reject_clientside_metadata_tags maximum_spend_logs_retention_period
                maximum_spend_logs_retention_interval maximum_spend_logs_cleanup_cron supported_db_objects
                user_mcp_management_mode use_client_credentials_pass_through_routes service_account_settings
                image_generation_model embedding_model moderation_model proxy_budget_rescheduler_min_time
                proxy_budget_rescheduler_max_time proxy_batch_polling_interval admin_only_routes
                spend_report_frequency ui_access_mode ui_username ui_password litellm_license custom_sso
                custom_ui_sso_sign_in_handler auto_redirect_ui_login_to_sso control_plane_url
                store_responses_in_spend_logs disable_admin_ui proxy_base_url database_type
                use_shared_health_check role_permissions scope_mappings"""
            ),
            refused=_refused(
                {
                    "custom_auth custom_auth_settings enable_jwt_auth litellm_jwtauth enable_oauth2_auth "
                    "enable_oauth2_proxy_auth oauth2_config_mappings custom_key_generate": _AUTH,
                    "allowed_ips": "filter addresses in front of the gateway, and remove the key",
                    "allowed_routes": "filter paths in front of the gateway, and remove the key",
                    "key_management_system key_management_settings use_azure_key_vault use_google_kms": _SECRETS,
                    "guardrails": _GUARD,
                }
            ),
        ),
        "router_settings": Keys(
            later=_words(
                """routing_strategy_args enable_pre_call_checks enable_pre_call_check
                model_group_retry_policy redis_host redis_port
                redis_password redis_url redis_db redis_ssl redis_username enable_tag_filtering
                tag_filtering_match_any default_litellm_params default_max_parallel_requests stream_timeout
                optional_pre_call_checks provider_budget_config cache_responses max_retries
                deployment_affinity_ttl_seconds health_check_interval"""
            ),
            never=_words(
                """set_verbose debug_level client_ttl cache_kwargs caching_groups alerting_config
                assistants_config router_general_settings ignore_invalid_deployments search_tools
                default_priority polling_interval"""
            ),
            refused=_refused({"guardrail_list": _GUARD, "guardrails": _GUARD}),
        ),
        "server_settings": Keys(),
    }
)

# Keys of router_settings that LiteLLM takes in litellm_settings too.
SHARED = _FALLBACKS | _words(
    """routing_strategy num_retries retry_after retry_policy allowed_fails allowed_fails_policy cooldown_time
    disable_cooldowns model_group_alias"""
)

# Keys of litellm_params that LiteLLM's own examples write beside it, and those that it takes in model_info too.
BESIDE_PARAMS = ("rpm", "tpm", "weight", "order")
IN_MODEL_INFO = ("allowed_fails", "cooldown_time", "input_cost_per_token", "output_cost_per_token", "order")

# Keys of policies that speak of errors which no other deployment mends.
POLICIES_OF_THE_REQUEST = _words(
    """BadRequestErrorRetries ContentPolicyViolationErrorRetries NotFoundErrorRetries BadRequestErrorAllowedFails
    ContentPolicyViolationErrorAllowedFails NotFoundErrorAllowedFails"""
)

CALLBACKS = _words("callbacks success_callback failure_callback")
SILENT_CALLBACKS = _words("prometheus")
SILENT = MappingProxyType({"litellm_settings": _words("turn_off_message_logging")})

# Keys of families that have no effect yet: credentials and places of clouds, and most prices.
_LATER_PARAMS = re.compile(
    r"(aws|vertex|azure|watsonx|s3|gcs|bedrock|sagemaker|oci)_\w+|\w*cost\w*_per_\w+|\w+_token_cost\w*"
)

# Unknown keys of litellm_params are request parameters; these are not: they would leak into a request's body.
_CREDENTIAL = re.compile(r"api_?key|access_?key|private_?key|secret|passw|credential|(^|_)token$", re.IGNORECASE)

# An unknown key outside a model that speaks of these asks for protection, or takes it away.
_SECURITY = re.compile(
    r"(^|_)(\w*auth(?!or)\w*|anonymous|guard\w*|insecure|security|acl|allow_?list|deny_?list|block_?list|jwt|oidc|rbac"
    r"|moderations?|(verify|disable|skip|require)\w*_keys?)(_|$)",
    re.IGNORECASE,
)

_GUARD_CALLBACK = re.compile(
    r"guard|presidio|lakera|moderation|injection|hide_secrets|banned|blocked|content_safety|aporia",
    re.IGNORECASE,
)

# The parameters of a chat request, with the types that a string from the environment is converted to.
REQUEST_PARAMETERS = MappingProxyType(
    {
        **dict.fromkeys(
            _words("temperature top_p presence_penalty frequency_penalty min_p top_a repetition_penalty"),
            float,
        ),
        **dict.fromkeys(
            _words("max_tokens max_completion_tokens n seed top_k top_logprobs num_ctx"),
            int,
        ),
        **dict.fromkeys(_words("logprobs parallel_tool_calls store stream"), bool),
        **dict.fromkeys(
            _words("""audio cache_control function_call functions logit_bias messages metadata modalities prediction
            prompt_cache_key prompt_cache_retention reasoning reasoning_effort response_format
            safety_identifier safety_settings service_tier stop stream_options thinking tool_choice tools user
            verbosity web_search_options keep_alive think provider transforms"""),
            object,
        ),
    }
)

_INFERRED = (
    (re.compile(r"(ft:)?(gpt-|o[0-9]|chatgpt-)|text-embedding-"), "openai"),
    (re.compile(r"claude-"), "anthropic"),
    (re.compile(r"gemini-"), "gemini"),
)


def split_model(model: str) -> tuple[str, str]:
    """`provider/model-id` apart; without a provider, the one that the name tells of, or an empty string."""
    provider, slash, model_id = model.partition("/")
    if slash:
        return provider, model_id
    inferred = next((name for pattern, name in _INFERRED if pattern.match(model)), "")
    return inferred, model


def is_later_param(key: str) -> bool:
    """Whether a key of `litellm_params` is LiteLLM's own, without effect here yet, and not a request parameter."""
    return key in SECTIONS["litellm_params"].later or _LATER_PARAMS.fullmatch(key) is not None


def is_credential(key: str) -> bool:
    """Whether an unknown key of `litellm_params` names something that must not stand in a request's body."""
    return key not in REQUEST_PARAMETERS and _CREDENTIAL.search(key) is not None


def is_security(key: str) -> bool:
    """Whether an unknown setting speaks of protection, so that passing over it could weaken what was asked for."""
    return _SECURITY.search(key) is not None


def refuse_callback(name: str) -> str:
    """Why a callback cannot be left out silently: how to mend it, or an empty string."""
    if _GUARD_CALLBACK.search(name):
        return _GUARD
    return "Python hooks are not run here: remove it" if "." in name else ""
