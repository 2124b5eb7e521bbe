"""Small projects, and ironbridge at work in them."""

import os
import subprocess


def basics(zone="Europe/London"):
    """What every project has."""
    return {
        "ironbridge.yaml": f"hub: contoso\ntime_zone: {zone}\n",
        "people.yaml": "groups: { finance-it: { email: finance-it@contoso.example } }\n",
    }


def write(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def ran(ironbridge, folder, *args, secrets={}, fails=False):
    """What the command printed. It is an error unless it ends well, or as it should where it `fails`."""
    command = [ironbridge, "-C", folder, *args]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env={**os.environ, **secrets})
    if bool(done.returncode) != fails:
        raise AssertionError(f"{args} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout + done.stderr
