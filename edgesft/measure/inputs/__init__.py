"""Inputs for measuring: requests from the user's file or random ones, states, lengths."""

from edgesft.measure.inputs.drawn import random_requests
from edgesft.measure.inputs.lengths import Bucket, buckets
from edgesft.measure.inputs.npzfile import load_npz
from edgesft.measure.inputs.requests import Feeds, Requests
from edgesft.measure.inputs.states import check_states, find_states

__all__ = ["Bucket", "Feeds", "Requests", "buckets", "check_states", "find_states", "load_npz", "random_requests"]
