"""Parses the text of a policy into a `Policy`. Errors name the line and column.

It's YAML without anchors, so that a policy can be read from top to bottom.
"""

from __future__ import annotations

import difflib
import re
from typing import Annotated, Any, Final

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from bot.core.access.policy import Kind, Policy, Problem, Rule, Verb
from bot.core.advice import KNOWN_TYPES
from bot.core.blocks.text import one_line
from bot.core.errors import SettingsError
from bot.core.incidents.tickets import template_problem
from bot.core.typed import name_key

MAX_RULES: Final = 500
NAME_CHARS: Final = 80
MAX_PROBLEMS: Final = 20
LOOKED_AT: Final = 200
"""How many mistakes are described, of which some may be the same: finding the place of each takes time."""
TYPO_CUTOFF: Final = 0.85
"""How similar a type must be to a known one to count as a typo: "strpe" does, "data-warehouse" doesn't."""

_KNOWN_KEYS: Final = {name_key(type_): type_ for type_ in KNOWN_TYPES}


def parse_policy(text: str, name: str = "policy.yaml") -> Policy:
    """Read the text of a policy.

    Args:
        text: the file's content.
        name: the file's name in error sentences.

    Raises:
        SettingsError: one sentence for each thing that is wrong, with line and column.
    """
    found = read_policy(text)
    if isinstance(found, Policy):
        return found
    raise SettingsError([f"{_place(name, one)} {one.sentence}" for one in found])


def read_policy(text: str) -> Policy | tuple[Problem, ...]:
    """Read the text of a policy; return what is wrong with it, at most `MAX_PROBLEMS`, if anything is."""
    try:
        root = _compose(text)
        value = _value(root) if root else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        return (_problem(error.problem or "not valid YAML", mark),)
    except yaml.reader.ReaderError as error:
        before = text[: error.position].split("\n")
        return (Problem("this character isn't allowed.", len(before), len(before[-1]) + 1),)
    except (yaml.YAMLError, RecursionError, ValueError):  # such as nesting that's too deep
        return (_problem("isn't valid YAML", None),)
    try:
        return _File.model_validate(value if value is not None else {}).policy
    except ValidationError as error:
        errors = error.errors()[:LOOKED_AT]
        problems = [_problem(_said(one), _mark_of(root, one["loc"], one["type"])) for one in errors]
        return tuple(dict.fromkeys(problems))[:MAX_PROBLEMS]


class _Loader(yaml.SafeLoader):
    """YAML's core types without anchors, which can turn a small file into a huge value."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            problem = "anchors and aliases (& and *) aren't allowed; put text that begins with & or * in quotes"
            raise yaml.composer.ComposerError(None, None, problem, event.start_mark)
        return super().compose_node(parent, index)


def _compose(text: str) -> yaml.Node | None:
    loader = _Loader(text)
    try:
        return loader.get_single_node()
    finally:
        loader.dispose()


def _value(node: yaml.Node) -> Any:
    """Convert a node to plain values; scalars stay text, so ``yes`` and ``12`` are, too."""
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.composer.ComposerError(None, None, "a key must be a word", key.start_mark)
            if key.value in found:
                raise yaml.composer.ComposerError(None, None, f"“{_short(key.value)}” appears twice", key.start_mark)
            found[key.value] = _value(value)
        return found
    if isinstance(node, yaml.SequenceNode):
        return [_value(one) for one in node.value]
    return None if node.tag.endswith(":null") else node.value


def _mark_of(root: yaml.Node | None, loc: tuple[int | str, ...], kind: str) -> yaml.Mark | None:
    """Find the place of an error: that of the value, of an unknown key, or of what lacks a missing key."""
    node = root
    mark = root.start_mark if root else None
    for number, part in enumerate(loc):
        if isinstance(node, yaml.MappingNode):
            pair = next((one for one in node.value if one[0].value == part), None)
            if pair is None:
                break
            is_key = kind == "extra_forbidden" and number == len(loc) - 1
            node, mark = pair[1], pair[0].start_mark if is_key else pair[1].start_mark
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            mark = node.start_mark
        else:
            break
    return mark


def _problem(sentence: str, mark: yaml.Mark | None) -> Problem:
    return Problem(f"{sentence}.", mark.line + 1, mark.column + 1) if mark else Problem(f"{sentence}.")


def _place(name: str, problem: Problem) -> str:
    return f"{name}:{problem.line}:{problem.column}:" if problem.line else f"{name}:"


def _said(problem: Any) -> str:
    where = next((_short(part) for part in reversed(problem["loc"]) if isinstance(part, str)), "")
    match problem["type"]:
        case "extra_forbidden":
            return f"“{_short(where)}” isn't a recognized key{_guess(where, problem['loc'])}"
        case "missing":
            return f"“{where}” is missing"
        case "model_type" | "dict_type" | "model_attributes_type":
            return "must be keys with values, such as “name: …”"
        case "list_type":
            return f"“{where}” must be a list: [one, another]"
        case "string_type":
            return f"“{where or 'this'}” must be text"
        case "enum":
            return f"“{_short(problem['input'])}” isn't one of {problem['ctx']['expected']}"
    message = str(problem["msg"])
    is_named = problem["loc"] and where == problem["loc"][-1]
    return f"{where}: {message[0].lower()}{message[1:]}" if is_named else message


def _guess(word: str, loc: tuple[int | str, ...]) -> str:
    model = _Rule if "rules" in loc[:-1] else _File
    near = difflib.get_close_matches(word[:NAME_CHARS], model.model_fields, n=1)
    return f"; did you mean “{near[0]}”?" if near else f"; there are {', '.join(model.model_fields)}"


def _short(text: object) -> str:
    said = one_line(str(text))
    return said if len(said) <= NAME_CHARS else f"{said[:NAME_CHARS]}…"


def _one_or_more(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _id_of(what: str, letters: str, example: str) -> AfterValidator:
    def check(value: str) -> str:
        if not re.fullmatch(f"[{letters}][A-Z0-9]{{1,29}}", value):
            raise PydanticCustomError(
                "slack_id",
                "“{value}” isn't the Slack ID of a {what}; IDs look like {example}",
                {"value": _short(value), "what": what, "example": example},
            )
        return value

    return AfterValidator(check)


def _check_type(value: str) -> str:
    if not re.fullmatch(r"[\w .-]{1,60}", value) or not any(char.isalnum() for char in value):
        raise PydanticCustomError(
            "integration_type",
            "“{value}” isn't a type; types look like stripe, app_store_connect or data-warehouse",
            {"value": _short(value)},
        )
    key = name_key(value)
    near = difflib.get_close_matches(key, _KNOWN_KEYS, n=1, cutoff=TYPO_CUTOFF)
    if near and near[0] not in key:
        raise PydanticCustomError(
            "integration_type",
            "“{value}” isn't a type I know; did you mean “{near}”?",
            {"value": _short(value), "near": _KNOWN_KEYS[near[0]]},
        )
    return value


def _check_each_type_once(value: Any) -> Any:
    """Refuse a type that is listed twice: the author meant another one, or thinks that spelling matters."""
    seen: dict[str, str] = {}
    for one in value if isinstance(value, list) else ():
        if not isinstance(one, str):
            continue
        key = name_key(one)
        if key in seen:
            raise PydanticCustomError(
                "same_type",
                "“{earlier}” and “{value}” are the same type; name it once",
                {"earlier": _short(seen[key]), "value": _short(one)},
            )
        seen[key] = one
    return value


def _check_ticket(value: str) -> str:
    if problem := template_problem(value):
        raise PydanticCustomError("ticket", "{problem}", {"problem": problem})
    return value


def _check_name(value: str) -> str:
    if not 0 < len(value.strip()) <= NAME_CHARS or not value.isprintable():
        raise PydanticCustomError("name", "must be one line of 1 to 80 characters")
    return value.strip()


_User = Annotated[str, _id_of("person", "UW", "U024BE7LH (in a profile: ⋮ → Copy member ID)")]
_Group = Annotated[str, _id_of("user group", "S", "S0615G0KT (in the address of the group's page)")]
_Channel = Annotated[str, _id_of("channel", "CGD", "C024BE91L (at the end of a channel's About)")]
_Whom = Annotated[str, _id_of("person or user group", "UWS", "U024BE7LH or S0615G0KT")]
_Type = Annotated[str, AfterValidator(_check_type)]
_Name = Annotated[str, AfterValidator(_check_name)]
_Ticket = Annotated[str, AfterValidator(_check_ticket)]

_Verbs = Annotated[frozenset[Verb], BeforeValidator(_one_or_more), Field(min_length=1)]
_Users = Annotated[frozenset[_User], BeforeValidator(_one_or_more), Field(min_length=1)]
_Groups = Annotated[frozenset[_Group], BeforeValidator(_one_or_more), Field(min_length=1)]
_Kinds = Annotated[frozenset[Kind], BeforeValidator(_one_or_more), Field(min_length=1)]
_Channels = Annotated[frozenset[_Channel], BeforeValidator(_one_or_more), Field(min_length=1)]
_Types = Annotated[
    frozenset[_Type], BeforeValidator(_check_each_type_once), BeforeValidator(_one_or_more), Field(min_length=1)
]
_Ask = Annotated[tuple[_Whom, ...], BeforeValidator(_one_or_more)]
"""An empty list is refused: in some tools it matches everything, in others nothing."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class _Rule(_Part):
    name: _Name
    allow: _Verbs | None = None
    refuse: _Verbs | None = None
    users: _Users | None = None
    groups: _Groups | None = None
    who: _Kinds | None = None
    channels: _Channels | None = None
    types: _Types | None = None
    ask: _Ask = ()

    @model_validator(mode="after")
    def _check_verdict(self) -> _Rule:
        if (self.allow is None) == (self.refuse is None):
            raise PydanticCustomError(
                "verdict", "a rule says either allow or refuse, and which of look, sync, subscribe, administer"
            )
        return self

    @property
    def rule(self) -> Rule:
        empty: frozenset[str] = frozenset()
        return Rule(
            name=self.name,
            allows=self.allow is not None,
            verbs=self.allow or self.refuse or frozenset(),
            users=self.users or empty,
            groups=self.groups or empty,
            kinds=self.who,
            channels=self.channels or empty,
            types=self.types or empty,
            ask=self.ask,
        )


class _File(_Part):
    ask: _Ask = ()
    ticket: _Ticket = ""
    rules: Annotated[list[_Rule], Field(max_length=MAX_RULES)] = []

    @model_validator(mode="after")
    def _check_names(self) -> _File:
        names = [rule.name for rule in self.rules]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise PydanticCustomError("twice", "two rules are called “{name}”", {"name": twice})
        return self

    @property
    def policy(self) -> Policy:
        return Policy(tuple(rule.rule for rule in self.rules), self.ask, self.ticket)
