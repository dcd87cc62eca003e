"""``workbench doctor``: what is installed, which accelerator, what would serve; whether every digest still holds, and
what the deployment leaves open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli.output import AsJson, Home, Profile, refusals, show

if TYPE_CHECKING:
    from infra.settings import Settings


def add_to(app: typer.Typer) -> None:
    app.command("doctor")(doctor)


def doctor(
    verify: Annotated[bool, typer.Option("--verify", help="Re-read every digest: weights and stored objects.")] = False,
    security: Annotated[bool, typer.Option("--security", help="Instead: what this deployment leaves open, and what to do.")] = False,
    as_json: AsJson = False,
    home: Home = None,
    profile: Profile = None,
) -> None:
    """What is installed, which accelerator there is, and what would serve each role. Exit code 1 where something is wrong."""
    with refusals(as_json):
        from infra.settings import load_settings

        if security:
            _security(load_settings(home=home, profile=profile), as_json)
            return
        from workbench.services.diagnosis import examine

        found = examine(load_settings(home=home, profile=profile), verify=verify)
        if as_json:
            show(found)
        else:
            _print(found)
        if found["problems"]:
            raise typer.Exit(1)


def _security(settings: Settings, as_json: bool) -> None:
    from workbench.services.security import examine_security

    found = examine_security(settings)
    if as_json:
        show(found)
    else:
        for point in found["points"]:
            print(f"{point['state'].upper() if point['state'] == 'open' else point['state']:<13}{point['name']:<26}{point['sentence']}")
        print(f"\n{found['open']} points are open." if found["open"] else "\nNo point is open.")
    if found["open"]:
        raise typer.Exit(1)


def _print(found: dict[str, Any]) -> None:
    machine = found["machine"]
    print(f"Python {machine['python']} on {machine['system']}, {machine['processors']} processors, {machine['memory_gb']} GB of memory")
    print(f"Accelerator: {machine['accelerator']}")
    print(f"Data folder: {found['home']} ({found['free_gb']} GB free), profile {found['profile']}")
    print("\nPackages")
    for name, version in found["packages"].items():
        print(f"  {name:<18}{version or 'not installed'}")
    print("\nRoles")
    for role, said in found["roles"].items():
        print(f"  {role:<14}{said}")
    if found["verified"] is not None:
        verified = found["verified"]
        print(f"\nDigests: {verified['objects']} stored objects and {verified['weights']} models read again")
    for problem in found["problems"]:
        print(f"PROBLEM: {problem}")
    if not found["problems"]:
        print("\nNothing is wrong.")
