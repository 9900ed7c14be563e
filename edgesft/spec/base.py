"""Base class of all schemas: unknown keys are errors, values are frozen, the docstring below a field describes it."""

from __future__ import annotations

import ast
import inspect
import itertools
import textwrap
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic_core import CoreSchema


class Spec(BaseModel):
    """Base of all schemas: stores what the user wrote and refuses keys it does not know."""

    # Each command uses a few of all schemas, so that each is built where it is first used.
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), defer_build=True)

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """The JSON schema with descriptions; pydantic's own way reads the sources of all classes in every process."""
        schema = handler(core_schema)
        fields = handler.resolve_ref_schema(schema).get("properties", {})
        for name, text in _described(cls).items():
            fields.get(name, {}).setdefault("description", text)
        for field in fields.values():
            # Editors would offer null, which most fields do not even take.
            if field.get("default", ...) is None:
                del field["default"]
        return schema


def _described(cls: type[BaseModel]) -> dict[str, str]:
    """Field → the text below it, here or where the field is inherited from."""
    found: dict[str, str] = {}
    for base in reversed([each for each in cls.__mro__ if issubclass(each, Spec) and each is not Spec]):
        body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0].body  # type: ignore[attr-defined]
        for field, below in itertools.pairwise(body):
            match field, below:
                case ast.AnnAssign(target=ast.Name(name)), ast.Expr(ast.Constant(str(text))):
                    found[name] = inspect.cleandoc(text)
    return found
