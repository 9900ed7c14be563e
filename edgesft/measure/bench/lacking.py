"""What devices cannot be asked for, and whether they are the machine that the profile means."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgesft.errors import UnavailableError
from edgesft.measure import fingerprint
from edgesft.measure.bench.order import Order
from edgesft.measure.devices import HERE, Device, Interpreter
from edgesft.measure.driver import MeasureError
from edgesft.measure.providers import find


@dataclass(frozen=True)
class Lacking:
    """What a device is not.

    Attributes:
        providers: Provider → why it cannot be asked for; all of them where the device cannot be reached.
        unreachable: Whether it cannot.
        differs: Whether it is another machine than the profile's, as far as it can be reached.
    """

    providers: Mapping[str, str]
    unreachable: bool = False
    differs: bool = False


def lacking(order: Order) -> dict[str, Lacking]:
    """What each device lacks, by its label.

    Raises:
        UnavailableError: The only device cannot be reached, or has no runtime.
    """
    found = {}
    for device in order.devices:
        try:
            info = _info(order, device)
        except UnavailableError as error:
            if len(order.devices) == 1:
                raise
            found[device.label] = Lacking({provider.name: str(error) for provider in order.providers}, unreachable=True)
        else:
            differs = bool(fingerprint.differences(order.profile.machine, info.get("machine", {})))
            found[device.label] = Lacking(_absent(order, info), differs=differs)
    return found


def absent(order: Order, device: Device | None = None) -> dict[str, str]:
    """Providers of the order that a device's runtime does not have, and where to get each.

    Args:
        order: Which providers.
        device: By default the order's first one.

    Raises:
        UnavailableError: The device cannot be reached, does not start, or has no runtime.
    """
    return _absent(order, _info(order, device or order.device))


def _absent(order: Order, info: Mapping[str, Any]) -> dict[str, str]:
    asked = {provider.name: find.lacking(provider.name, info) for provider in order.providers}
    return {name: why for name, why in asked.items() if why is not None}


def _info(order: Order, device: Device) -> dict[str, Any]:
    """What the device's agent tells of itself."""
    try:
        with order.connect(device) as agent:
            return agent.info()
    except MeasureError as error:
        if error.op is None:
            hint = None if "Try:" in str(error) else "--device with the path of an interpreter"
            raise UnavailableError(str(error), hint) from error
        if not isinstance(device, Interpreter):
            raise UnavailableError(f"{device.label} must answer, got: {error}") from error
        raise UnavailableError(
            f"{device.label} must be an interpreter that has numpy and onnxruntime, got: {error}",
            f"{sys.executable if device is HERE else device.label} -m pip install numpy onnxruntime",
        ) from error
