"""Tokens of texts, without the library tokenizers."""
