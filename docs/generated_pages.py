"""Pages of the documentation that are made of other files: options, notebooks, pages elsewhere.

Standard library and PyYAML alone. ``conf.py`` calls ``write_pages`` at every build.
"""

import ast
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

SHARED_KEYS = 0.6  # entries of a group with so many keys in common stand side by side
VERBATIM = ("experiment",)
"""Groups whose files are lists of commands, shown as they are."""

COPIES = {
    "datasets/README.md": "datasets.md",
    "checkpoints/README.md": "checkpoints.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
"""Pages that stand elsewhere in the repository, and their names among the made ones."""

MODULES = {"import": "import_checkpoint"}
"""Modules of lead.cli that do not have the name of their verb."""

_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s#]*)(#[^)\s]*)?\)")


@dataclass(frozen=True)
class Option:
    """One value of a YAML file: its dotted key, how it is written there, and what is said of it."""

    key: str
    value: str
    remark: str


@dataclass(frozen=True)
class ConfigFile:
    """One YAML file: where it stands in configs, what its head says, and its values."""

    name: str
    head: str
    options: tuple[Option, ...]
    text: str
    anywhere: bool  # its keys are those of the whole configuration, not of its group


def write_pages(repository: Path, folder: Path) -> None:
    """Write every made page into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = {"configuration.md": configuration_page(repository / "configs")}
    for source, name in COPIES.items():
        text = (repository / source).read_text(encoding="utf-8")
        pages[name] = site_links(text, repository / source, repository, folder)
    for path in sorted((repository / "docs" / "notebooks").glob("*.ipynb")):
        pages[f"{path.stem}.md"] = notebook_page(path)
    for name, text in pages.items():
        if not (folder / name).is_file() or (folder / name).read_text(encoding="utf-8") != text:
            (folder / name).write_text(text, encoding="utf-8")


def site_links(text: str, page: Path, repository: Path, folder: Path | None = None) -> str:
    """The text with links that also work on the site, which holds ``docs`` alone.

    A link to a page of COPIES leads to the copy, one to a page in ``docs`` stays, and one to any
    other file of the repository becomes plain text. ``folder`` is where the text will stand, if not
    where ``page`` is.
    """
    docs = repository / "docs"
    here = folder or page.parent

    def replaced(match: re.Match) -> str:
        words, target, part = match.group(1), match.group(2), match.group(3) or ""
        if not target or re.match(r"[a-z]+:", target):
            return match.group(0)
        path = (page.parent / target).resolve()
        name = os.path.relpath(path, repository)
        if name in COPIES:
            path = docs / "generated" / COPIES[name]
        elif not path.is_relative_to(docs):
            return words
        return f"[{words}]({Path(os.path.relpath(path, here)).as_posix()}{part})"

    return _LINK.sub(replaced, text)


def read_config(path: Path, configs: Path) -> ConfigFile:
    """The values of a YAML file with the comments beside them."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    head = []
    for line in lines:
        if not line.startswith("#"):
            break
        if not line.startswith("# @package"):
            head.append(line.lstrip("# "))
    options = tuple(_options(yaml.compose(text), "", lines))
    name = path.relative_to(configs).with_suffix("").as_posix()
    return ConfigFile(name, " ".join(head), options, text, "# @package _global_" in lines)


def _options(node: yaml.Node | None, prefix: str, lines: list[str]) -> Iterator[Option]:
    """Every value below a mapping, in the order of the file; ``defaults`` is no value."""
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        name = prefix + key.value
        if name == "defaults":
            continue
        if isinstance(value, yaml.MappingNode) and value.value:
            yield from _options(value, f"{name}.", lines)
        else:
            last = lines[value.end_mark.line] if value.end_mark.line < len(lines) else ""
            yield Option(name, _written(value), _remark(last, value.end_mark.column))


def _written(node: yaml.Node) -> str:
    if isinstance(node, yaml.ScalarNode):
        return node.value or "null"
    if isinstance(node, yaml.SequenceNode):
        return "[" + ", ".join(_written(entry) for entry in node.value) + "]"
    return "{" + ", ".join(f"{key.value}: {_written(value)}" for key, value in node.value) + "}"


def _remark(line: str, column: int) -> str:
    match = re.search(r"\s#\s*(.*)$", line[column:])
    return match.group(1).strip() if match else ""


def configuration_page(configs: Path) -> str:
    """The page of every option: verbs first, then the groups of choices."""
    parts = [
        "# Configuration reference",
        "Every option of every command with its default, made from the files in `configs/`. An "
        "option is written `KEY=VALUE` on the command line; a group chooses one of its files, "
        "`GROUP=FILE`, and `GROUP.KEY=VALUE` changes a value in it. What is not listed here is "
        "refused. `null` stands for *not given*. The tables list what the help text of a command "
        "does not explain, too.",
        "## Commands",
    ]
    for path in sorted(configs.glob("*.yaml")):
        file = read_config(path, configs)
        title = f"lead {file.name}".replace("_", " ")
        text = help_text(configs.parent, file.name)
        parts += [f"### {title}", f"```text\n{text}\n```" if text else _sentence(file.head)]
        groups = _groups_of(path)
        if groups:
            listed = ", ".join(f"[{group}](#{_anchor(group)}) (`{name}`)" for group, name in groups)
            parts.append(f"Groups, with the choice that is made by default: {listed}.")
        parts.append(_table(file.options))
    parts.append("## Groups")
    for group in sorted({path.parent for path in configs.rglob("*.yaml")} - {configs}):
        files = [read_config(path, configs) for path in sorted(group.glob("*.yaml"))]
        parts += _group(group.relative_to(configs).as_posix(), files)
    return "\n\n".join(part for part in parts if part) + "\n"


def help_text(repository: Path, verb: str) -> str:
    """What `lead VERB --help` says, the first words of its module; empty where it has none."""
    folder = repository / "lead" / "cli"
    name = MODULES.get(verb, verb)
    path = folder / f"{name}.py"
    if not path.is_file():
        return ""
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")), clean=False).strip()


def _groups_of(path: Path) -> list[tuple[str, str]]:
    """The groups that a verb's file takes, with the default choice."""
    defaults = yaml.safe_load(path.read_text(encoding="utf-8")).get("defaults", [])
    entries = [next(iter(entry.items())) for entry in defaults if isinstance(entry, dict)]
    return [(key.removeprefix("optional "), str(value or "none")) for key, value in entries]


def _group(name: str, files: list[ConfigFile]) -> list[str]:
    """The section of one group: side by side where the entries have their keys in common."""
    parts = [f"### {name}"]
    if name in VERBATIM:
        return parts + [f"```yaml\n{file.text.strip()}\n```" for file in files]
    prefix = "" if any(file.anywhere for file in files) else name.replace("/", ".") + "."
    keys = [{option.key for option in file.options} for file in files]
    shared = len(set.intersection(*keys)) / max(len(set.union(*keys)), 1)
    for file in files:
        choice = f"`{name}={file.name.rpartition('/')[2]}`"
        parts.append(f"**{choice}** {_sentence(file.head)}".rstrip())
        if len(files) == 1 or shared < SHARED_KEYS:
            parts.append(_table(file.options, prefix))
    if len(files) > 1 and shared >= SHARED_KEYS:
        parts.append(_side_by_side(files, prefix))
    return parts


def _table(options: tuple[Option, ...], prefix: str = "") -> str:
    if not options:
        return ""
    rows = [
        f"| `{prefix}{option.key}` | {_code(option.value)} | {_cell(option.remark)} |"
        for option in options
    ]
    return "\n".join(["| option | default | |", "|---|---|---|", *rows])


def _side_by_side(files: list[ConfigFile], prefix: str) -> str:
    """One table with a column for each entry."""
    names = [file.name.rpartition("/")[2] for file in files]
    values = [{option.key: option.value for option in file.options} for file in files]
    remarks = {o.key: o.remark for file in reversed(files) for o in file.options if o.remark}
    keys = list(dict.fromkeys(option.key for file in files for option in file.options))
    rows = []
    for key in keys:
        cells = [_code(held[key]) if key in held else "" for held in values]
        rows.append(f"| `{prefix}{key}` | {' | '.join(cells)} | {_cell(remarks.get(key, ''))} |")
    head = f"| option | {' | '.join(names)} | |"
    return "\n".join([head, "|---" * (len(names) + 2) + "|", *rows])


def _code(value: str) -> str:
    return f"`{value}`".replace("|", "\\|") if value else '`""`'


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def _sentence(text: str) -> str:
    text = text.strip()
    return text and _cell(text[0].upper() + text[1:] + ("" if text.endswith(".") else "."))


def _anchor(group: str) -> str:
    return re.sub(r"[^a-z0-9_-]", "", group.lower())


def notebook_page(path: Path) -> str:
    """A notebook's cells as a page: text as it is, code in blocks, and where to get the file."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    parts = []
    for cell in cells:
        source = "".join(cell["source"])
        code = cell["cell_type"] == "code"
        parts.append(f"```python\n{source}\n```" if code else source)
    parts.insert(1, f"The notebook itself: {{download}}`../notebooks/{path.name}`.")
    return "\n\n".join(parts) + "\n"
