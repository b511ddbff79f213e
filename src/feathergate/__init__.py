"""FeatherGate: a gateway for language models that speaks OpenAI's API in front and each provider's own behind."""

__version__ = "0.1.0"
