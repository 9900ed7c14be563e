"""Hook of mkdocs: the reference, made of what the code itself says, and the documents that lie elsewhere.

Command line from argparse, files from the JSON schemas, tasks, profiles and providers from their registries.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent

ELSEWHERE = ("bench/RESULTS.md", "export/**/*.md")
"""Documents beside the code that they are about; they are shown under `files/`."""

SHOWN = "files"

LINK = re.compile(r"\[([^\]\[]+)\]\(([^)\s]+)\)")

DECISION = re.compile(r"\d{4}-.+\.md")

MEANINGS = {
    "recipe": "The file that `edgesft run` carries out.",
    "profile": "A device: where the model runs, how it is measured there, what the device can do.",
    "budget": "The limits that `edgesft check` checks a model against.",
    "devices": "Names for the places where models are measured.",
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that nobody writes."""
    pages = {"reference/cli.md": command_line(), "reference/tasks.md": tasks(), "reference/profiles.md": profiles()}
    pages["reference/providers.md"] = providers()
    pages |= {f"reference/{kind}.md": schema(kind) for kind in MEANINGS}
    pages["decisions/index.md"] = decisions()
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    for place in sorted(file for pattern in ELSEWHERE for file in ROOT.glob(pattern)):
        name = f"{SHOWN}/{place.relative_to(ROOT).as_posix()}"
        files.append(File.generated(config, name, abs_src_path=str(place)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Leaves only the names of links to what is no page: sources, and documents that are not shown."""
    if not page.file.src_uri.startswith(f"{SHOWN}/"):
        return markdown
    folder = PurePosixPath(page.file.src_uri).parent

    def known(found: re.Match[str]) -> str:
        name, target = found[1], found[2]
        place = target.partition("#")[0]
        if not place or target.startswith(("http://", "https://")):
            return found[0]
        return found[0] if files.get_file_from_path(_normal(folder / place)) else f"{name} (`{place}`)"

    return LINK.sub(known, markdown)


def command_line() -> str:
    """Every command with its arguments."""
    from edgesft.cli.main import COMMANDS, parser

    top = parser()
    (commands,) = [action for action in top._actions if isinstance(action, argparse._SubParsersAction)]
    lines = ["# Command line", "", f"{top.description}", "", f"{str(top.epilog).capitalize()}.", ""]
    lines += ["| command | what it does |", "|---|---|"]
    lines += [f"| [`{name}`](#edgesft-{name}) | {text} |" for name, text in COMMANDS.items()]
    for name in COMMANDS:
        lines += ["", f"## edgesft {name}", "", *_command(commands.choices[name])]
    return "\n".join(lines) + "\n"


def _command(parser: argparse.ArgumentParser) -> Iterator[str]:
    parser.formatter_class = lambda prog: argparse.HelpFormatter(prog, width=100)
    yield f"{parser.description}"
    yield from ("", "```text", parser.format_usage().removeprefix("usage: ").rstrip(), "```", "")
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                yield from (f"### {each.prog}", "")
                yield from _command(each)
            return
    yield from ("| argument | meaning |", "|---|---|")
    for action in parser._actions:
        if action.dest != "help":
            yield f"| {_argument(action)} | {_escaped(_help(action))} |"


def _argument(action: argparse.Action) -> str:
    value = action.metavar or (f"{{{','.join(map(str, action.choices))}}}" if action.choices else action.dest.upper())
    if not action.option_strings:
        return f"`{action.metavar or action.dest}`"
    named = ", ".join(action.option_strings)
    return f"`{named}`" if action.nargs == 0 else f"`{_escaped(f'{named} {value}')}`"


def _help(action: argparse.Action) -> str:
    return str(action.help or "").replace("%%", "%")


def schema(kind: str) -> str:
    """A kind of file, from its JSON schema."""
    from edgesft.spec.load import KINDS

    whole = KINDS[kind].model_json_schema()
    lines = [f"# The file of {_article(kind)}", "", MEANINGS[kind]]
    lines += ["", f"`edgesft schema {kind}` prints this as JSON Schema; editors complete and check files with it."]
    lines += ["", *_object(whole)]
    for name, each in sorted(whole.get("$defs", {}).items()):
        if "properties" in each:
            lines += ["", f"## {name}", "", *_object(each)]
    return "\n".join(lines) + "\n"


def _article(kind: str) -> str:
    return kind if kind == "devices" else f"a {kind}"


def _object(spec: Mapping[str, Any]) -> Iterator[str]:
    if text := spec.get("description"):
        yield from (" ".join(str(text).split()), "")
    yield from ("| key | value | default | meaning |", "|---|---|---|---|")
    for name, each in spec["properties"].items():
        meaning = " ".join(str(each.get("description", "")).split())
        default = "must be given" if name in spec.get("required", ()) else _default(each.get("default"))
        yield f"| `{name}` | {_type(each)} | {_escaped(default)} | {_escaped(meaning)} |"


def _default(value: Any) -> str:
    """As a recipe would write it; of an object its own table tells."""
    return "" if value is None or isinstance(value, dict) else f"`{json.dumps(value, ensure_ascii=False)}`"


def _type(spec: Mapping[str, Any]) -> str:
    """What a value may be, in words, with links to the objects."""
    if "$ref" in spec:
        name = str(spec["$ref"]).rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if several := spec.get("anyOf") or spec.get("oneOf"):
        return " or ".join(dict.fromkeys(_type(each) for each in several if each.get("type") != "null"))
    if "enum" in spec or "const" in spec:
        values = spec.get("enum", [spec.get("const")])
        return ", ".join(f"`{value}`" for value in values)
    kind = spec.get("type")
    if kind == "array":
        inner = spec.get("items") or (spec.get("prefixItems") or [{}])[0]
        return f"list of {_type(inner)}"
    if kind == "object" and isinstance(spec.get("additionalProperties"), dict):
        return f"mapping to {_type(spec['additionalProperties'])}"
    return {"number": "number", "integer": "whole number", "string": "text", "boolean": "true or false"}.get(
        str(kind), "any value"
    ) + _range(spec)


def _range(spec: Mapping[str, Any]) -> str:
    words = {"minimum": "from {}", "exclusiveMinimum": "above {}", "maximum": "to {}", "exclusiveMaximum": "below {}"}
    told = " ".join(text.format(f"{spec[key]:g}") for key, text in words.items() if key in spec)
    return f" {told}" if told else ""


def tasks() -> str:
    """The tasks of the registry."""
    from edgesft.tasks.registry import TASKS

    lines = [
        "# Tasks",
        "",
        "The values of `task:`. The first metric of a task decides. Of every metric a higher value is better.",
    ]
    for name, task in TASKS.items():
        roles = getattr(task, "roles", None) or ("the model's inputs", "label")
        metrics = getattr(task, "metrics", None) or ("accuracy, r2 or your own",)
        own = ", ".join(f"`{each}`" for each in sorted(task.training)) or "none"
        lines += ["", f"## {name}", "", " ".join(str(task.__doc__).split())]
        lines += ["", f"- columns: {', '.join(f'`{role}`' for role in roles)}"]
        lines += [f"- metrics: {', '.join(metrics)}", f"- training settings of this task: {own}"]
    return "\n".join(lines) + "\n"


def profiles() -> str:
    """The profiles that ship."""
    from edgesft.spec import load

    lines = ["# Device profiles", "", "Each can be named in a recipe; your own file works as well.", ""]
    lines += ["| profile | what it means | provider | threads | precisions |", "|---|---|---|---|---|"]
    known = load.shipped("profiles")
    for name in known:
        each = load.profile(name)
        provider, precisions = each.providers[0].name, ", ".join(each.precisions)
        lines.append(f"| [`{name}`](#{name}) | {each.description} | {provider} | {each.threads} | {precisions} |")
    for name, place in known.items():
        lines += ["", f"## {name}", "", "```yaml", place.read_text("utf-8").rstrip(), "```"]
    return "\n".join(lines) + "\n"


def providers() -> str:
    """The execution providers that are known."""
    from edgesft.measure.providers.known import NO_PROVIDER, PROVIDERS

    lines = ["# Execution providers", "", "`edgesft doctor` tells which of them are available."]
    lines += ["", "| `--provider` | supports besides fp32 | systems | where it comes from |", "|---|---|---|---|"]
    for each in PROVIDERS.values():
        note = f". {each.note}" if each.note else ""
        takes = ", ".join(each.takes) or "nothing"
        lines.append(f"| `{each.short}` | {takes} | {', '.join(each.systems)} | {_escaped(each.install + note)} |")
    lines += ["", *(f"- {name}: {why}" for name, why in NO_PROVIDER.items())]
    return "\n".join(lines) + "\n"


def decisions() -> str:
    """The list of the decision records."""
    about = "What was decided, why, and what it costs. A record stays as it was written; a later one replaces it."
    lines = ["# Decisions", "", about, ""]
    for place in sorted((ROOT / "docs" / "decisions").glob("*.md")):
        if DECISION.fullmatch(place.name):
            title = place.read_text("utf-8").splitlines()[0].lstrip("# ")
            lines.append(f"- [{title}]({place.name})")
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _normal(path: PurePosixPath) -> str:
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            del parts[-1:]
        elif part != ".":
            parts.append(part)
    return "/".join(parts)
