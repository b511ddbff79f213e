"""One request's life: routed, attempted, relayed, accounted for."""
