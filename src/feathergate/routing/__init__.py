"""From a model's name to the deployments that serve it. Pure: no clock, no network."""
