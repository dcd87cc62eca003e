"""Prometheus metrics of the gateway, and the layer that counts its requests."""

from __future__ import annotations

import time
from typing import Any

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class GatewayMetrics:
    """The counters of one gateway, in a registry of their own (two gateways in one test process do not meet)."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        where: dict[str, Any] = {"registry": self.registry}
        self.requests = Counter("workbench_http_requests", "Requests by route and status.", ["method", "route", "status"], **where)
        self.seconds = Histogram("workbench_http_seconds", "Time to the complete response.", ["method", "route"], buckets=BUCKETS, **where)
        self.received = Counter("workbench_http_received_bytes", "Bytes of request bodies.", **where)
        self.sockets = Gauge("workbench_websockets", "Open WebSockets.", **where)
        self.components = Gauge("workbench_component_ready", "1 if the component worked at the last check.", ["component"], **where)

    def response(self) -> Response:
        return Response(generate_latest(self.registry), media_type=CONTENT_TYPE_LATEST)


class Measured:
    """The layer: labels are route templates, never addresses, so their number stays small."""

    def __init__(self, app: ASGIApp, *, metrics: GatewayMetrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            with self.metrics.sockets.track_inprogress():
                await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 500

        async def counted_receive() -> Message:
            message = await receive()
            self.metrics.received.inc(len(message.get("body", b"")))
            return message

        async def noted_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, counted_receive, noted_send)
        finally:
            route = getattr(scope.get("route"), "path", None) or ("page" if status < 400 else "none")
            self.metrics.requests.labels(scope["method"], route, str(status)).inc()
            self.metrics.seconds.labels(scope["method"], route).observe(time.perf_counter() - began)
