"""The headers that tell a browser what a response may do: content security policies, and the usual ones beside them."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders

SAFE_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": ", ".join(
        f"{feature}=()" for feature in ("camera", "microphone", "geolocation", "display-capture", "payment", "usb", "serial", "hid", "midi")
    ),
}

NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
"""For what is no page: data, pictures, downloads."""
PLAIN_PAGE = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
)
"""For our own pages without a script: sign-in, password, the HTTP interface, the quality page of a cohort."""
PDF = "default-src 'none'; object-src 'self'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
"""For documents that the browser's own viewer shows."""
VIEWER = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "connect-src 'self' blob:; "
    "worker-src 'self' blob:; font-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
"""For the viewer of a scan, which stands in a frame of a page."""
MLFLOW = (
    "default-src 'self'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; frame-src 'self' blob:; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'self'"
)
"""For MLflow's own page, which could not work under less."""
UNTRUSTED = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; frame-ancestors 'self'"
"""For files that somebody stored in MLflow, HTML among them: shown, but as a page of no site."""


def page_policy(script_hashes: list[str]) -> str:
    """The policy of a Gradio page whose inline scripts have these hashes (``'sha256-...'``).

    Gradio makes functions of text in the browser (``js=`` of events, templates), hence ``unsafe-eval``, and sets styles inline.
    """
    return (
        f"default-src 'none'; script-src 'self' 'unsafe-eval' {' '.join(script_hashes)}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; frame-src 'self'; "
        "manifest-src 'self'; media-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
    )


def policy_of(path: str, media_type: str) -> str:
    """The policy of a response that sets none itself."""
    if path == "/mlflow" or path.startswith("/mlflow/"):
        return MLFLOW if path.rstrip("/") == "/mlflow" or path.startswith("/mlflow/static-files/") else UNTRUSTED
    if media_type.startswith("text/html"):
        return PLAIN_PAGE
    return PDF if media_type.startswith("application/pdf") else NOTHING


def add_safe_headers(headers: MutableHeaders, path: str) -> None:
    """Complete the headers of a response to ``path`` by those that it does not set itself."""
    media_type = headers.get("content-type", "")
    headers.setdefault("content-security-policy", policy_of(path, media_type))
    for name, value in SAFE_HEADERS.items():
        headers.setdefault(name, value)
    if "json" in media_type:
        headers.setdefault("cache-control", "no-store")  # a person's data; what may be kept says so
