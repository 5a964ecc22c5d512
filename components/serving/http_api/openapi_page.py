"""What the page /docs and /openapi.json say beyond the types of messages: refusals, the key, and the log's columns."""

from collections.abc import Callable, Mapping

from fastapi import FastAPI

from components.serving.http_api.http_messages import Problem
from components.serving.http_api.request_limits import KEY_NAME, api_key, needs_key
from components.serving.service import Service
from components.serving.shop_tables import CONTEXT

DESCRIPTIONS = {
    400: "the headers are malformed, or the body is no text in UTF-8",
    401: "no API key",
    403: "from a page of another site, or an address that this service did not sign",
    404: "unknown campaign or picture",
    408: "the body did not come in time",
    409: "no creative is eligible",
    413: "the body is too large",
    422: "malformed JSON, or a field that is wrong",
    429: "the client asks too often",
    503: "the journal cannot be written, or the request took too long: send it again",
}
RETRY = {"Retry-After": {"description": "seconds to wait", "schema": {"type": "integer", "minimum": 1}}}
RETRIED = {429, 503}
TYPES = {"text": {"type": "string", "maxLength": 200}, "number": {"type": "number"}, "flag": {"type": "boolean"}}


def problems(*statuses: int) -> dict[int | str, dict]:
    """The answers without an ad, by status, as FastAPI's `responses`."""
    answers: dict[int | str, dict] = {
        status: {"model": Problem, "description": DESCRIPTIONS[status]} for status in statuses
    }
    for status in RETRIED.intersection(statuses):
        answers[status]["headers"] = RETRY
    return answers


def described(app: FastAPI, service: Service) -> Callable[[], dict]:
    """A function that gives the OpenAPI of `app`, with the columns `context_*` that the log has at that moment."""
    generate = app.openapi  # builds the description once, and gives the same object then

    def openapi() -> dict:
        description = generate()
        _problems_as_json(description)
        schemas = description["components"]["schemas"]
        schemas["DecideOne"]["properties"]["context"] = _context(service.shop.context)
        if api_key():
            _require_key(description)
        return description

    return openapi


def _context(columns: Mapping[str, str]) -> dict:
    named = {name: TYPES[kind] for column, kind in columns.items() for name in (column.removeprefix(CONTEXT), column)}
    return {"type": "object", "properties": named, "additionalProperties": False, "title": "Context"}


def _problems_as_json(description: dict) -> None:
    """FastAPI describes an error in the type of the answer, such as image/png; it is always JSON."""
    for operations in description["paths"].values():
        for operation in operations.values():
            for status, answer in operation["responses"].items():
                if int(status) in DESCRIPTIONS:
                    (content,) = answer["content"].values()
                    answer["content"] = {"application/json": content}


def _require_key(description: dict) -> None:
    scheme = {"type": "apiKey", "in": "header", "name": KEY_NAME}
    description["components"]["securitySchemes"] = {KEY_NAME: scheme}
    for path, operations in description["paths"].items():
        if needs_key(path):
            for operation in operations.values():
                operation["security"] = [{KEY_NAME: []}]
