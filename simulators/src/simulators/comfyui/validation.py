"""Checks a posted graph as ComfyUI does: what is wrong, and which outputs may still run."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from simulators.comfyui.graph import Graph, is_link
from simulators.comfyui.modes import Mode
from simulators.comfyui.nodes import REGISTRY, NodeType
from simulators.comfyui.nodes.base import Input
from simulators.comfyui.storage import OutsideFolderError, Storage

LIST_SHOWN_MAX = 20
CONVERSIONS = {"INT": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool}


@dataclass(frozen=True)
class Verdict:
    error: dict[str, Any] | None
    outputs: list[str] = field(default_factory=list)
    node_errors: dict[str, Any] = field(default_factory=dict)


@dataclass
class _Checked:
    valid: bool
    reasons: list[dict[str, Any]] = field(default_factory=list)


class _CycleError(Exception):
    pass


def problem(kind: str, message: str, details: str, **extra: Any) -> dict[str, Any]:
    return {"type": kind, "message": message, "details": details, "extra_info": extra}


def _unknown_class(mode: Mode, node_id: str, node: dict[str, Any]) -> dict[str, Any]:
    class_type = node.get("class_type")
    title = node.get("_meta", {}).get("title", class_type)
    shown = f"Node '{title}'" if class_type is not None else f"Node 'ID #{node_id}'"
    if mode.missing_node_error == "invalid_prompt":
        message = f"Cannot execute because node {class_type} does not exist."
        if class_type is None:
            message = "Cannot execute because a node is missing the class_type property."
        return problem("invalid_prompt", message, f"Node ID '#{node_id}'")
    return problem(
        "missing_node_type",
        f"{shown} not found. The custom node may not be installed.",
        f"Node ID '#{node_id}'",
        node_id=node_id,
        class_type=class_type,
        node_title=title,
    )


class Validator:
    """One graph's check; visited nodes are remembered, so shared parents are checked once."""

    def __init__(self, graph: Graph, storage: Storage) -> None:
        self._graph = graph
        self._storage = storage
        self._checked: dict[str, _Checked] = {}
        self._path: list[str] = []

    def output(self, node_id: str) -> tuple[_Checked, dict[str, _Checked]]:
        """Check an output with all that is upstream; also every result known so far."""
        try:
            result = self._node(node_id)
        except Exception as error:
            reason = problem(
                "exception_during_validation",
                "Exception when validating node",
                str(error),
                exception_type=type(error).__name__,
                traceback=[f"{type(error).__name__}: {error}\n"],
            )
            result = _Checked(valid=False, reasons=[reason])
            self._checked[node_id] = result
        self._path.clear()
        return result, self._checked

    def _node(self, node_id: str) -> _Checked:
        if node_id in self._path:
            raise _CycleError(" -> ".join([*self._path[self._path.index(node_id) :], node_id]))
        if node_id in self._checked:
            return self._checked[node_id]
        self._path.append(node_id)
        node = self._graph[node_id]
        node_type = REGISTRY[node["class_type"]]
        values = node["inputs"]
        result = _Checked(valid=True)
        for name, declared in node_type.inputs().items():
            if name in values:
                self._value(result, values, name, declared)
            elif name in node_type.required:
                reason = problem(
                    "required_input_missing", "Required input is missing", name, input_name=name
                )
                result.reasons.append(reason)
        result.valid = result.valid and not result.reasons
        self._path.pop()
        self._checked[node_id] = result
        return result

    def _value(self, result: _Checked, values: Graph, name: str, declared: Input) -> None:
        value = values[name]
        if isinstance(value, list):
            if not is_link(value):
                reason = problem(
                    "bad_linked_input",
                    "Bad linked input, must be a length-2 list of [node_id, slot_index]",
                    name,
                    input_name=name,
                    input_config=self._config(declared),
                    received_value=value,
                )
                result.reasons.append(reason)
                return
            self._link(result, name, declared, value)
        elif declared.choices is not None:
            self._choice(result, name, declared, value)
        elif declared.kind in CONVERSIONS:
            self._widget(result, values, name, declared)

    def _link(self, result: _Checked, name: str, declared: Input, value: list[Any]) -> None:
        source_id, slot = value
        source_type = REGISTRY[self._graph[source_id]["class_type"]]
        received = source_type.returns[int(slot)]
        if "*" not in (declared.kind, received) and received != declared.kind:
            details = f"{name}, received_type({received}) mismatch input_type({declared.kind})"
            reason = problem(
                "return_type_mismatch",
                "Return type mismatch between linked nodes",
                details,
                input_name=name,
                input_config=self._config(declared),
                received_type=received,
                linked_node=value,
            )
            result.reasons.append(reason)
            return
        try:
            source = self._node(source_id)
        except _CycleError as error:
            reason = problem(
                "dependency_cycle",
                "Dependency cycle detected",
                str(error),
                input_name=name,
                linked_node=value,
            )
            result.reasons.append(reason)
            return
        except Exception as error:
            del self._path[self._path.index(source_id) :]
            reason = problem(
                "exception_during_inner_validation",
                "Exception when validating inner node",
                str(error),
                input_name=name,
                input_config=self._config(declared),
                exception_message=str(error),
                exception_type=type(error).__name__,
                traceback=[f"{type(error).__name__}: {error}\n"],
                linked_node=value,
            )
            source = self._checked[source_id] = _Checked(valid=False, reasons=[reason])
        result.valid = result.valid and source.valid

    def _choice(self, result: _Checked, name: str, declared: Input, value: Any) -> None:
        if declared.files:
            try:
                found = isinstance(value, str) and self._storage.annotated(value).is_file()
            except OutsideFolderError:
                found = False
            if not found:
                reason = problem(
                    "custom_validation_failed",
                    "Custom validation failed for node",
                    f"{name} - Invalid image file: {value}",
                    input_name=name,
                    input_config=None,
                    received_value=value,
                )
                result.reasons.append(reason)
            return
        choices = list(declared.choices or ())
        if value in choices:
            return
        long = len(choices) > LIST_SHOWN_MAX
        shown = f"(list of length {len(choices)})" if long else str(choices)
        reason = problem(
            "value_not_in_list",
            "Value not in list",
            f"{name}: '{value}' not in {shown}",
            input_name=name,
            input_config=None if long else self._config(declared),
            received_value=value,
        )
        result.reasons.append(reason)

    def _widget(self, result: _Checked, values: Graph, name: str, declared: Input) -> None:
        value = values[name]
        facts = {
            "input_name": name,
            "input_config": self._config(declared),
            "received_value": value,
        }
        try:
            converted = CONVERSIONS[declared.kind](value)
        except (TypeError, ValueError) as error:
            reason = problem(
                "invalid_input_type",
                f"Failed to convert an input value to a {declared.kind} value",
                f"{name}, {value}, {error}",
                **facts,
                exception_message=str(error),
            )
            result.reasons.append(reason)
            return
        values[name] = converted
        low, high = declared.options.get("min"), declared.options.get("max")
        if low is not None and converted < low:
            message = f"Value {converted} smaller than min of {low}"
            result.reasons.append(problem("value_smaller_than_min", message, name, **facts))
        elif high is not None and converted > high:
            message = f"Value {converted} bigger than max of {high}"
            result.reasons.append(problem("value_bigger_than_max", message, name, **facts))

    def _config(self, declared: Input) -> list[Any]:
        return declared.config(self._storage.input_names)


def _output_nodes(
    graph: Graph, mode: Mode, targets: Iterable[str] | None
) -> tuple[dict[str, Any] | None, list[str]]:
    wanted = None if targets is None else set(targets)
    outputs: list[str] = []
    for node_id, node in graph.items():
        if "class_type" not in node or node["class_type"] not in REGISTRY:
            return _unknown_class(mode, node_id, node), []
        node_type: NodeType = REGISTRY[node["class_type"]]
        if node_type.output_node and (wanted is None or node_id in wanted):
            outputs.append(node_id)
    if not outputs:
        return problem("prompt_no_outputs", "Prompt has no outputs", ""), []
    return None, outputs


def validate(
    graph: Graph, storage: Storage, mode: Mode, targets: Iterable[str] | None = None
) -> Verdict:
    """Raises what a malformed graph makes the real handler raise: that is a 500 on the wire."""
    error, outputs = _output_nodes(graph, mode, targets)
    if error is not None:
        return Verdict(error)
    validator = Validator(graph, storage)
    good: list[str] = []
    failures: list[str] = []
    node_errors: dict[str, Any] = {}
    for output in outputs:
        result, checked = validator.output(output)
        if result.valid:
            good.append(output)
            continue
        failures.append(f"Failed to validate prompt for output {output}:")
        for node_id, part in checked.items():
            if not part.reasons:
                continue
            entry = node_errors.setdefault(
                node_id,
                {
                    "errors": part.reasons,
                    "dependent_outputs": [],
                    "class_type": graph.get(node_id, {}).get("class_type"),
                },
            )
            entry["dependent_outputs"].append(output)
            failures.extend(f"  - {r['message']}: {r['details']}" for r in part.reasons)
    if good:
        return Verdict(None, good, node_errors)
    summary = problem(
        "prompt_outputs_failed_validation", "Prompt outputs failed validation", "\n".join(failures)
    )
    return Verdict(summary, [], node_errors)
