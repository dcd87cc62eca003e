"""The gateway's process: uvicorn around :func:`workbench.gateway.build_gateway`, on a socket it was handed.

``python -m workbench.gateway_process --fd 7``; settings come from the environment, as the supervisor sets it.
"""

from __future__ import annotations

import argparse
import socket
import time

from infra.datafolder import private_umask
from infra.settings import load_settings
from infra.telemetry import configure_logging, logger


def main() -> None:
    began = time.monotonic()
    private_umask()
    parser = argparse.ArgumentParser(prog="python -m workbench.gateway_process")
    parser.add_argument("--fd", type=int, help="An inherited listening socket; without it the settings' host and port.")
    given = parser.parse_args()
    settings = load_settings()
    configure_logging(level=settings.telemetry.level, component="gateway")
    log = logger(__name__)

    import uvicorn

    from workbench.gateway import build_gateway
    from workbench.services.cluster import Cluster
    from workbench.services.context import make_services

    services = make_services(settings)
    services.cluster = Cluster(settings)
    app = build_gateway(services)
    config = uvicorn.Config(
        app,
        host=settings.gateway.host,
        port=settings.gateway.port,
        log_config=None,
        access_log=False,  # addresses can carry a sign-in link; metrics count, and errors are logged with their ids
        server_header=False,
        proxy_headers=bool(settings.gateway.trusted_proxies),
        forwarded_allow_ips=settings.gateway.trusted_proxies or None,
        timeout_graceful_shutdown=3,
        ws_max_size=1 << 20,
    )
    log.info("gateway built", seconds=round(time.monotonic() - began, 2))
    sockets = [socket.socket(fileno=given.fd)] if given.fd is not None else None
    uvicorn.Server(config).run(sockets=sockets)


if __name__ == "__main__":
    main()
