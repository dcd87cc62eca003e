"""``/docs``: the OpenAPI document as one plain page. FastAPI's own page loads its scripts from another host; ours needs none."""

from __future__ import annotations

import json
from html import escape
from typing import Any

from fastapi import FastAPI
from starlette.responses import HTMLResponse

STYLE = """
:root { color-scheme: light dark; --ground:#f8fafc; --card:#fff; --line:#d5dde7; --text:#0f172a; --quiet:#51607a; --accent:#2563a8; }
@media (prefers-color-scheme: dark) { :root {
  --ground:#0f172a; --card:#182234; --line:#2e3b52; --text:#e6ecf5; --quiet:#9babc4; --accent:#6ea8e6; } }
* { box-sizing: border-box } body { margin:0; background:var(--ground); color:var(--text); font:15px/1.5 system-ui,sans-serif }
main { max-width: 860px; margin: 0 auto; padding: 32px 16px 64px } h1 { font-size:1.5rem; margin:0 }
h2 { font-size:1.05rem; margin:28px 0 8px }
p { color:var(--quiet); margin:4px 0 } a { color:var(--accent) }
details { background:var(--card); border:1px solid var(--line); border-radius:8px; margin:6px 0 }
summary { cursor:pointer; padding:8px 12px }
details > div { padding: 0 12px 12px; border-top:1px solid var(--line) } code,pre { font:13px/1.45 ui-monospace,Menlo,monospace }
pre { overflow:auto; background:var(--ground); border-radius:6px; padding:10px }
.verb { color:var(--accent); font-weight:650; display:inline-block; width:4.5em }
table { border-collapse:collapse; width:100% } td { padding:3px 10px 3px 0; vertical-align:top } td:first-child { white-space:nowrap }
"""


def install_docs(app: FastAPI) -> None:
    """Serve the page at ``/docs``; the document itself is at ``/openapi.json``."""

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(docs_page(app.openapi()))


def docs_page(document: dict[str, Any]) -> str:
    """The page for an OpenAPI document."""
    groups: dict[str, list[str]] = {}
    for path, verbs in document["paths"].items():
        for verb, operation in verbs.items():
            groups.setdefault((operation.get("tags") or ["other"])[0], []).append(_operation(path, verb, operation))
    sections = "".join(f"<h2>{escape(name)}</h2>{''.join(found)}" for name, found in groups.items())
    schemas = document.get("components", {}).get("schemas", {})
    shapes = "".join(
        f"<details><summary><code>{escape(name)}</code></summary><div>{_json(shape)}</div></details>" for name, shape in schemas.items()
    )
    info = document["info"]
    return f"""<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>HTTP interface · Workbench</title><style>{STYLE}</style></head><body><main>
<h1>{escape(info["title"])} {escape(info["version"])}</h1>
<p>Sign in with <code>Authorization: Bearer TOKEN</code>. Errors are <code>application/problem+json</code> with a stable <code>code</code>.
Events of a job: WebSocket <code>/jobs/{{job_id}}/events</code>. Machine-readable: <a href="/openapi.json">openapi.json</a>.</p>
{sections}<h2>Shapes</h2>{shapes}</main></body></html>"""


def _operation(path: str, verb: str, operation: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(item['name'])}</code></td><td>{escape(item['in'])}{', required' if item.get('required') else ''}</td>"
        f"<td>{escape(item.get('description') or item.get('schema', {}).get('type', ''))}</td></tr>"
        for item in operation.get("parameters", [])
    )
    body = "".join(
        f"<p>Body, <code>{escape(kind)}</code>:</p>{_json(given.get('schema', {}))}"
        for kind, given in operation.get("requestBody", {}).get("content", {}).items()
    )
    said = f"<p>{escape(operation['description'])}</p>" if operation.get("description") else ""
    title = f"<span class=verb>{verb.upper()}</span><code>{escape(path)}</code> — {escape(operation.get('summary', ''))}"
    return f"<details><summary>{title}</summary><div>{said}<table>{rows}</table>{body}</div></details>"


def _json(value: Any) -> str:
    return f'<pre tabindex="0">{escape(json.dumps(value, indent=2))}</pre>'
