"""The HTTP interface: decisions, tracking, pictures of ads, health, figures. Its page /docs describes all of it."""

import base64
import sys
import threading
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Annotated

from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse

from components.serving.http_api.http_messages import (
    Chosen,
    ChosenBatch,
    DecideBatch,
    DecideOne,
    Refused,
    Track,
    TrackAnswer,
)
from components.serving.http_api.openapi_page import described, problems
from components.serving.http_api.request_limits import RequestLimits
from components.serving.http_api.signed_addresses import CLICK, PIXEL
from components.serving.journal import JournalFailed
from components.serving.server_clock import now_microseconds
from components.serving.service import Service, WrongContext
from components.serving.tracking import CLICK as CLICKED
from components.serving.tracking import IMPRESSION as SHOWN

GIF = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")  # one transparent pixel
# The journal's thread needs the interpreter after each step of SQLite, and a busy thread gives it up after this time;
# with Python's 5 ms, a decision can wait several times as long for its row as the disk takes.
SWITCH_SECONDS = 0.0005
NOT_STORED = {"Cache-Control": "no-store"}
ANY = problems(400, 408, 413, 429, 503)  # of the limits that hold for every request
OWN = problems(401, 403)  # of those that are for programs with the key, or of this machine
Signature = Annotated[str, Query(max_length=100)]
Until = Annotated[int, Query(ge=0, le=10**12)]


def make_app(service: Service, hosts: Iterable[str]) -> FastAPI:
    """The application. hosts: `name:port` that requests may name if there is no API key."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        watches, seconds = (service.watch, service.challenger), service.config.refresh_seconds
        watching = [threading.Thread(target=watch.run, args=(seconds,), daemon=True) for watch in watches]
        for thread in watching:
            thread.start()
        if service.streams is not None:
            service.streams.start()
        before = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_SECONDS)
        yield
        sys.setswitchinterval(before)
        for watch, thread in zip(watches, watching, strict=True):
            watch.stop()
            thread.join()
        service.close()

    app = FastAPI(title="Adloom", version=version("adloom"), description=__doc__, lifespan=lifespan, responses=ANY)
    app.add_middleware(RequestLimits, config=service.config, hosts=hosts, limited=service.metrics.limited)
    app.add_exception_handler(RequestValidationError, _explain)
    app.add_exception_handler(JournalFailed, _unavailable)
    app.add_exception_handler(WrongContext, _wrong)
    _add_decisions(app, service)
    _add_tracking(app, service)
    _add_operations(app, service)
    app.openapi = described(app, service)
    return app


class Png(Response):
    """A picture."""

    media_type = "image/png"


class Gif(Response):
    """A pixel."""

    media_type = "image/gif"


class Figures(Response):
    """Prometheus' text format."""

    media_type = "text/plain; version=0.0.4; charset=utf-8"


async def _explain(request: Request, error: Exception) -> JSONResponse:
    """Status 422 with what is wrong where; without the input, which may hold what JSON cannot say, such as NaN."""
    assert isinstance(error, RequestValidationError)
    faults = [f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in error.errors()]
    return JSONResponse({"detail": faults}, 422)


async def _wrong(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, 422)


async def _unavailable(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, 503)


def _add_decisions(app: FastAPI, service: Service) -> None:
    @app.post("/decide", responses={**OWN, **problems(404, 409, 422)})
    async def decide(body: DecideBatch | DecideOne) -> ChosenBatch | Chosen:
        """Choose an ad, or up to 200; one of a batch that has no ad gets an `error` in its place.

        The answer comes after the decision is durable in the log.
        """
        if isinstance(body, DecideBatch):
            return ChosenBatch(decisions=await service.decide(body.requests))
        (answer,) = await service.decide([body])
        if isinstance(answer, Refused):
            raise HTTPException(answer.status, answer.error)
        return answer

    @app.get("/ads/{name}", response_class=Png, responses=problems(404))
    async def picture(name: str) -> Response:
        """The picture of an ad, as PNG."""
        content = service.watch.current.pictures.get(name)
        if content is None:
            raise HTTPException(404, "no such picture")
        return Png(content, headers={"Cache-Control": "public, max-age=86400"})


def _add_tracking(app: FastAPI, service: Service) -> None:
    @app.post("/track", responses={**OWN, **problems(422)})
    async def track(body: Track) -> TrackAnswer:
        """Report behaviour, impressions, clicks, conversions and feedback; sent twice, they count once.

        The answer comes after what is new is durable.
        """
        return TrackAnswer(results=await service.track(body.events))

    def check(purpose: str, decision_id: str, target: str, until: int, signature: str) -> None:
        if not service.addresses.is_valid(purpose, decision_id, target, until, signature):
            raise HTTPException(403, "this service did not sign this address")

    @app.get("/pixel/{decision_id}.gif", response_class=Gif, responses=problems(403, 422))
    async def pixel(decision_id: str, until: Until, signature: Signature) -> Response:
        """Report that the ad of a decision was shown; the answer is a transparent pixel."""
        check(PIXEL, decision_id, "", until, signature)
        if now_microseconds() <= until * 1_000_000:
            await service.report([SHOWN], decision_id)
        return Gif(GIF, headers=NOT_STORED)

    @app.get("/click/{decision_id}", response_class=RedirectResponse, status_code=302, responses=problems(403, 422))
    async def click(
        decision_id: str, to: Annotated[str, Query(max_length=5000)], until: Until, signature: Signature
    ) -> RedirectResponse:
        """Count a click once, and lead to the landing address; only where an answer of this service leads."""
        check(CLICK, decision_id, to, until, signature)
        if now_microseconds() <= until * 1_000_000:
            await service.report([SHOWN, CLICKED], decision_id)
        return RedirectResponse(to, 302, headers=NOT_STORED)


def _add_operations(app: FastAPI, service: Service) -> None:
    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Whether the process answers."""
        return {"status": "ok"}

    @app.get("/readyz")
    async def readyz() -> dict:
        """Which policy answers; why it is not the registry's champion, or not by the shop's tables of now, if so.

        With `serving.kafka`, also the state of the streams.
        """
        status = service.watch.status
        streams = {} if service.streams is None else {"kafka": service.streams.state()}
        return {
            "policy_version": status.version,
            "form": status.form,
            "reason": status.reason,
            "shop": status.shop,
            **streams,
        }

    @app.get("/metrics", response_class=Figures, responses=OWN)
    async def metrics() -> Response:
        """Figures in Prometheus' format."""
        return Figures(service.metrics.page())
