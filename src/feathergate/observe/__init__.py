"""What the operator sees: metrics and the access log. Both are told one `Outcome` a request."""
