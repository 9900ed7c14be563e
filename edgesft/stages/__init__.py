"""The stages of the chain, and the artefact that travels through them."""
