"""ONNX Runtime's execution providers: what each needs and supports, and which are available."""

from edgesft.measure.providers.find import available, require, resolve
from edgesft.measure.providers.known import PROVIDERS
from edgesft.measure.providers.options import takes_fixed, with_defaults, wrong_options
from edgesft.measure.providers.provider import Provider

__all__ = ["PROVIDERS", "Provider", "available", "require", "resolve", "takes_fixed", "with_defaults", "wrong_options"]
