"""``workbench doctor``: packages, accelerator and the model of each role; checks of digests and of security."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli.output import AsJson, Home, Profile, refusals, show

if TYPE_CHECKING:
    from infra.settings import Settings


def add_to(app: typer.Typer) -> None:
    app.command("doctor")(doctor)


def doctor(
    verify: Annotated[bool, typer.Option("--verify", help="Also check the digests of model weights and stored objects.")] = False,
    security: Annotated[bool, typer.Option("--security", help="Check the security of this deployment instead.")] = False,
    as_json: AsJson = False,
    home: Home = None,
    profile: Profile = None,
) -> None:
    """Show packages, accelerator and the model of each role. Exit code 1 if there are problems."""
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
        print(f"\nSecurity issues: {found['open']}." if found["open"] else "\nNo security issues found.")
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
        print(f"\nDigests: {verified['objects']} stored objects and {verified['weights']} models verified")
    for problem in found["problems"]:
        print(f"PROBLEM: {problem}")
    if not found["problems"]:
        print("\nNo problems found.")
