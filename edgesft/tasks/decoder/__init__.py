"""Models that write token by token: prompts and conversations as tokens, the cache, the exported graphs."""
