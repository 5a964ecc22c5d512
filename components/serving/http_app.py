"""The HTTP interface: decisions, pictures of ads, health, figures. The page /docs shows its OpenAPI description."""

import logging
import threading
import time
import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from components.policies.online_policy import AdRequest, NothingEligible, UnknownCampaign
from components.serving.champion_watch import ChampionWatch
from components.serving.http_messages import Chosen, ChosenBatch, DecideBatch, DecideOne, Problem, Refused
from components.serving.request_limits import RequestLimits
from components.serving.server_clock import now_microseconds
from components.serving.service_metrics import ServiceMetrics
from components.serving.shop_tables import CONTEXT, ShopTables
from components.settings.errors import UserError
from components.settings.sections import ServingConfig

log = logging.getLogger("adloom")

STATUS = {UnknownCampaign: 404, NothingEligible: 409}  # else 422
PROBLEMS = {
    status: {"model": Problem, "description": text}
    for status, text in {
        401: "no API key",
        403: "from a page of another site",
        404: "unknown campaign",
        409: "no creative is eligible",
        413: "the body is too large",
    }.items()
}


class Service:
    """Answers the requests of one data set."""

    def __init__(self, dataset: str, shop: ShopTables, config: ServingConfig):
        self.shop, self.config, self.metrics = shop, config, ServiceMetrics()
        self.watch = ChampionWatch(dataset, shop, config.seed, lambda: self.metrics.watch(self.watch.status))

    def decide(self, one: DecideOne) -> Chosen:
        """The ad for one request. UserError if there is none, or the context has an unknown column."""
        begun = time.perf_counter()
        policy, decision_id = self.watch.current, uuid.uuid4().hex
        request = AdRequest(
            decision_id=decision_id,
            moment=now_microseconds(),
            campaigns=() if one.campaign is None else (one.campaign,),
            shopper_id=one.shopper_id if self.shop.may_know(one.shopper_id) else None,
            placement=one.placement,
            shortlist=None if one.shortlist is None else frozenset(one.shortlist),
        )
        decision = policy.decide(request, one.position, self._context(one))
        ad = policy.ads[decision.creative_id]
        self.metrics.decisions.labels(policy.logging_policy).inc()
        self.metrics.seconds.observe(time.perf_counter() - begun)
        return Chosen(
            decision_id=decision_id,
            campaign=decision.campaign,
            creative_id=decision.creative_id,
            propensity=decision.propensity,
            headline=ad.headline,
            call_to_action=ad.call_to_action,
            pictures={size: f"/ads/{name}" for size, name in ad.pictures.items()},
            policy_version=policy.version,
            logging_policy=policy.logging_policy,
            reason=self.watch.status.reason or f"champion, form {policy.form}",
        )

    def _context(self, one: DecideOne) -> list[tuple[str, object]]:
        """The columns `context_*` of the log and their values, sorted. UserError for an unknown or wrong one."""
        return sorted(_column(name, value, self.shop.context) for name, value in one.context.items())


def _column(name: str, value: object, known: dict[str, str]) -> tuple[str, object]:
    column = name if name.startswith(CONTEXT) else f"{CONTEXT}{name}"
    if column not in known:
        listed = ", ".join(sorted(known)) or "none"
        raise UserError(f"context: the log has no column {column}; it has {listed}")
    kind = {bool: "flag", str: "text"}.get(type(value), "number")
    if kind != known[column]:
        raise UserError(f"context: {column} holds a {known[column]}, not the {kind} {value!r}")
    return column, value


def make_app(service: Service, hosts: Iterable[str]) -> FastAPI:
    """The application. hosts: `name:port` that requests may name if there is no API key."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        watching = threading.Thread(target=service.watch.run, args=(service.config.refresh_seconds,), daemon=True)
        watching.start()
        yield
        service.watch.stop()
        watching.join()

    app = FastAPI(title="Adloom", version=version("adloom"), description=__doc__, lifespan=lifespan)
    app.add_middleware(RequestLimits, max_body_bytes=service.config.max_body_bytes, hosts=hosts)
    app.add_exception_handler(RequestValidationError, _explain)
    _add_decisions(app, service)
    _add_operations(app, service)
    return app


async def _explain(request: Request, error: RequestValidationError) -> JSONResponse:
    """Status 422 with what is wrong where; without the input, which may hold what JSON cannot say, such as NaN."""
    faults = [f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in error.errors()]
    return JSONResponse({"detail": faults}, 422)


def _add_decisions(app: FastAPI, service: Service) -> None:
    @app.post("/decide", responses=PROBLEMS)
    async def decide(body: DecideBatch | DecideOne) -> ChosenBatch | Chosen:
        """Choose an ad, or up to 200; one of a batch that has no ad gets an `error` in its place."""
        if isinstance(body, DecideOne):
            answer = _answer(service, body)
            if isinstance(answer, Refused):
                raise HTTPException(answer.status, answer.error)
            return answer
        return ChosenBatch(decisions=[_answer(service, one) for one in body.requests])

    @app.get(
        "/ads/{name}", response_class=Response, responses={200: {"content": {"image/png": {}}}, 404: PROBLEMS[404]}
    )
    async def picture(name: str) -> Response:
        """The picture of an ad, as PNG."""
        content = service.watch.current.pictures.get(name)
        if content is None:
            raise HTTPException(404, "no such picture")
        return Response(content, media_type="image/png", headers={"Cache-Control": "public, max-age=86400"})


def _answer(service: Service, one: DecideOne) -> Chosen | Refused:
    try:
        return service.decide(one)
    except UserError as error:
        status = STATUS.get(type(error), 422)
        service.metrics.refused.labels(str(status)).inc()
        return Refused(error=str(error), status=status)


def _add_operations(app: FastAPI, service: Service) -> None:
    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Whether the process answers."""
        return {"status": "ok"}

    @app.get("/readyz")
    async def readyz() -> dict:
        """Which policy answers, and why it is not the registry's champion, if so."""
        status = service.watch.status
        return {"policy_version": status.version, "form": status.form, "reason": status.reason}

    @app.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """Figures in Prometheus' format."""
        return Response(service.metrics.page(), media_type="text/plain; version=0.0.4")
