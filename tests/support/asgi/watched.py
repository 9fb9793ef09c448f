"""An application with two mounts under the monitoring agent that ``AGENT`` names; ``/seen`` lists the routes it saw."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.responses import JSONResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse as StarletteJSONResponse
from starlette.routing import Route

from assetstore import AssetStore

sys.path[:0] = filter(None, [os.environ.get("AGENT_FOLDER")])

assets = AssetStore({})
assets.static("/assets/", root=os.environ["SERVED_ROOT"], name="assets")
assets.static("/media/", root=os.environ["SERVED_ROOT"], name="media")
assets.static("/mounted/", root=os.environ["SERVED_ROOT"], name="mounted")

#: Gives the routes that the agent saw.
Seen = Callable[[], list[str]]


def fastapi() -> FastAPI:
    app = FastAPI()
    app.router.routes.extend(assets.routes[:1])
    app.include_router(APIRouter(routes=assets.routes[1:2]))
    app.mount("/mounted", assets["mounted"])
    return app


def starlette() -> Starlette:
    app = Starlette(routes=assets.routes[:2])
    app.mount("/mounted", assets["mounted"])
    return app


def elastic(app: Any) -> Seen:
    from elasticapm.contrib.starlette import ElasticAPM, make_apm_client

    client = make_apm_client({"SERVICE_NAME": "x", "SERVER_URL": "http://127.0.0.1:9", "DISABLE_SEND": True})
    names: list[str] = []
    client.tracer.queue_func = lambda kind, data, **more: names.append(data.get("name", ""))
    app.add_middleware(ElasticAPM, client=client)
    return lambda: names


def prometheus(app: Any) -> Seen:
    from prometheus_client import CollectorRegistry
    from prometheus_fastapi_instrumentator import Instrumentator

    registry = CollectorRegistry()
    Instrumentator(registry=registry).instrument(app)
    return lambda: [
        sample.labels["handler"]
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name == "http_requests_total"
    ]


def opentelemetry(app: Any) -> Seen:
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
    from opentelemetry.instrumentation.starlette import StarletteInstrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from opentelemetry.trace import SpanKind

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentor = FastAPIInstrumentor if isinstance(app, FastAPI) else StarletteInstrumentor
    instrumentor.instrument_app(app, tracer_provider=provider)
    return lambda: [
        str((span.attributes or {}).get("http.route"))
        for span in exporter.get_finished_spans()
        if span.kind is SpanKind.SERVER
    ]


def opentelemetry_asgi(app: Any) -> Seen:
    """Without a framework: it knows no routes, and must not be in the way."""
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
    from opentelemetry.sdk.trace import TracerProvider

    app.add_middleware(OpenTelemetryMiddleware, tracer_provider=TracerProvider())
    return list


def sentry(app: Any) -> Seen:
    import sentry_sdk

    names: list[str] = []

    def keep(event: Any, hint: Any) -> None:
        names.append(event["transaction"])

    sentry_sdk.init(dsn="http://key@127.0.0.1:9/1", traces_sample_rate=1.0, before_send_transaction=keep)
    return lambda: names


AGENTS = {each.__name__: each for each in (elastic, prometheus, opentelemetry, opentelemetry_asgi, sentry)}

if os.environ["AGENT"] == "sentry":  # it patches the frameworks, so it comes before the application
    seen = sentry(None)
    app: Any = starlette() if os.environ["FRAMEWORK"] == "starlette" else fastapi()
else:
    app = starlette() if os.environ["FRAMEWORK"] == "starlette" else fastapi()
    seen = AGENTS[os.environ["AGENT"]](app)

if isinstance(app, FastAPI):
    app.add_api_route("/seen", lambda: JSONResponse(seen()))
else:

    async def answer(request: Request) -> StarletteJSONResponse:
        return StarletteJSONResponse(seen())

    app.router.routes.append(Route("/seen", answer))
