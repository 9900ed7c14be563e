"""`edgesft doctor`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgesft.spec.profile import ProfileSpec


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("--devices", type=Path, metavar="FILE", help="also check these devices (default: devices.yaml)")
    parser.add_argument("--format", choices=("table", "json"), default="table", help="what to print")


def main(options: argparse.Namespace) -> int:
    """Prints versions, machine, instruction sets and execution providers, which profiles mean this machine, and what
    could be added.
    """
    from edgesft.cli import missing
    from edgesft.measure import fingerprint
    from edgesft.measure.devices import HERE
    from edgesft.measure.providers.known import NO_PROVIDER
    from edgesft.spec import load
    from edgesft.store.keys import versions
    from edgesft.store.store import default_root

    machine = fingerprint.machine()
    devices = _devices(options.devices)
    here = devices[HERE.label]["providers"]
    facts = {
        "versions": versions(),
        "machine": machine,
        "devices": devices,
        "providers": _providers(devices),
        "no_provider": dict(NO_PROVIDER),
        "profiles": {name: _apart(load.profile(name), machine, here) for name in load.shipped("profiles")},
        "extras": missing.extras(),
        "tools": missing.tools(),
        "store": str(default_root()),
    }
    if options.format == "json":
        print(json.dumps(facts, indent=1))
        return 0
    _print(facts)
    return 0


def _apart(profile: ProfileSpec, machine: Mapping[str, Any], here: Sequence[str]) -> list[str]:
    """Why this machine is not the one that a profile means, or cannot measure for it."""
    from edgesft.measure import fingerprint

    found, first = list(fingerprint.differences(profile.machine, machine)), profile.providers[0].name
    if first not in here:
        found.append(f"provider: the profile is for {_short(first)}, which is not available")
    return found


def _devices(file: Path | None) -> dict[str, dict[str, Any]]:
    """What each device's agent tells of its runtime, this interpreter's first; why it tells nothing."""
    from edgesft.errors import EdgesftError
    from edgesft.measure.devices import HERE
    from edgesft.measure.devices.find import made, pool
    from edgesft.measure.driver import Agent

    known, base = pool(file)
    found: dict[str, dict[str, Any]] = {}
    for name in (HERE.label, *known):
        try:
            with HERE if name == HERE.label else made(name, known[name], base) as device, Agent(device=device) as agent:
                told = agent.info()
            names = ("model", "architecture", "system", "onnxruntime")
            machine = {each: told["machine"].get(each) for each in names}
            found[name] = {"runtime": told["runtime"], "providers": told["providers"], **machine}
            found[name] |= {"broken": told.get("broken") or {}, "problem": None}
        except EdgesftError as error:
            found[name] = {"providers": [], "broken": {}, "problem": str(error)}
    return found


def _providers(devices: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Every provider: which devices have it, what it takes, and where to get it."""
    from edgesft.measure.providers import PROVIDERS

    return {
        name: {
            "devices": [label for label, told in devices.items() if name in told["providers"]],
            "broken": {label: told["broken"][name] for label, told in devices.items() if name in told["broken"]},
            "takes": list(provider.takes),
            "systems": list(provider.systems),
            "install": provider.install,
            "note": provider.note,
        }
        for name, provider in PROVIDERS.items()
    }


def _print(facts: Mapping[str, Any]) -> None:
    from edgesft.cli import missing

    for title in ("versions", "machine"):
        print(title)
        for name, value in facts[title].items():
            print(f"  {name:18} {' '.join(value) if isinstance(value, list | tuple) else value}")
    print("devices")
    for name, told in facts["devices"].items():
        runtime = told["problem"] or f"{told['onnxruntime'] or told['runtime']}: "
        there = runtime + ", ".join(map(_short, told["providers"]))
        print(f"  {name:18} {there}")
    print("execution providers (and the formats each supports besides fp32)")
    for name, told in facts["providers"].items():
        where = f"available: {', '.join(told['devices'])}" if told["devices"] else f"not available; {told['install']}"
        takes = f" [{', '.join(told['takes'])}]" if told["takes"] else ""
        print(f"  {_short(name):18} {where}{takes}")
        for each in (*told["broken"].values(), *([told["note"]] if told["note"] and told["devices"] else [])):
            print(f"  {'':18} {each}")
    for name, why in facts["no_provider"].items():
        print(f"  {name:18} {why}")
    print("profiles")
    for name, differences in facts["profiles"].items():
        print(f"  {name:18} {'matches this machine' if not differences else '; '.join(differences)}")
    print("\n".join(missing.lines(facts)))
    print(f"store\n  {facts['store']}")


def _short(name: str) -> str:
    return name.removesuffix("ExecutionProvider")
