"""Models on Ray Serve: the head, the replicas, and the callers that reach them."""
