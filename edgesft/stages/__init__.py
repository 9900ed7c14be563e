"""The stages of the chain, and the artefact that they pass on."""
