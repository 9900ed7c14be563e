"""`edgesft doctor`."""

from __future__ import annotations

import argparse
import json


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("--format", choices=("table", "json"), default="table", help="what to print")


def main(options: argparse.Namespace) -> int:
    """Prints versions, machine, instruction sets and execution providers, and which profiles mean this machine."""
    from edgesft.measure import fingerprint, providers
    from edgesft.spec import load
    from edgesft.store.keys import versions
    from edgesft.store.store import default_root

    machine = fingerprint.machine()
    profiles = {name: fingerprint.differences(load.profile(name).machine, machine) for name in load.shipped("profiles")}
    facts = {
        "versions": versions(),
        "machine": machine,
        "providers": list(providers.available()),
        "profiles": profiles,
        "store": str(default_root()),
    }
    if options.format == "json":
        print(json.dumps(facts, indent=1))
        return 0
    for title in ("versions", "machine"):
        print(title)
        for name, value in facts[title].items():  # type: ignore[attr-defined]
            print(f"  {name:18} {' '.join(value) if isinstance(value, list | tuple) else value}")
    print("execution providers\n  " + "\n  ".join(facts["providers"]))
    print("profiles")
    for name, differences in profiles.items():
        print(f"  {name:18} {'this machine fits' if not differences else '; '.join(differences)}")
    print(f"store\n  {facts['store']}")
    return 0
