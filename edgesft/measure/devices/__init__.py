"""The places where models are measured: an interpreter on this machine, a machine over ssh, a phone over adb. One file
per kind.
"""

from edgesft.measure.devices.device import Conditions, Device
from edgesft.measure.devices.interpreter import HERE, Interpreter

__all__ = ["HERE", "Conditions", "Device", "Interpreter"]
