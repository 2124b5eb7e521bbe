"""What the side-by-side scripts share: the binary, a project to run, and what a process cost."""

import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
BINARY = os.path.join(os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target")), "release", "ironbridge")


class Cost:
    """Wall-clock seconds, seconds of CPU, and the most memory that a process held, in MB."""

    def __init__(self, wall, cpu, resident):
        self.wall, self.cpu, self.resident = wall, cpu, resident

    def __str__(self):
        return f"{self.wall:7.2f} s   cpu {self.cpu:6.2f} s   resident {self.resident:5.0f} MB"


def cost(command, **more):
    """Runs a command to its end; whatever it says on stdout is not wanted."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **more)
    said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{' '.join(command)} failed ({process.returncode}):\n{said.decode(errors='replace')}")
    return Cost(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def middle(costs):
    """The median of each number."""
    of = lambda name: statistics.median(getattr(one, name) for one in costs)
    return Cost(of("wall"), of("cpu"), max(one.resident for one in costs))


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def project(folder, source, system):
    """The project that `init` makes, with this `systems/finance.yaml` and this address of Dynamics."""
    subprocess.run([BINARY, "init", folder], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    write(os.path.join(folder, "systems/finance.yaml"), source)
    path = os.path.join(folder, "systems/dynamics.yaml")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    write(path, re.sub(r"http://127\.0\.0\.1:\d+", system, text))
    write(os.path.join(folder, "dynamics.token"), TOKEN)
    return folder


TOKEN = "local"


class Emulator:
    """A local Dynamics, with nothing in it. `with Emulator() as dynamics: …`

    flags: more of what `ironbridge emulate dataverse` takes.
    """

    def __init__(self, flags=()):
        self.flags = flags

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="ironbridge-bench-")
        port, tls_port = free_port(), free_port()
        self.url, self.https = f"http://127.0.0.1:{port}", f"https://localhost:{tls_port}"
        self.log = open(os.path.join(self.folder.name, "log"), "w+", encoding="utf-8")
        command = [BINARY, "emulate", "dataverse", "--listen", f"127.0.0.1:{port}", "--https", f"127.0.0.1:{tls_port}", "--token", TOKEN, *self.flags]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=self.log)
        self.authority = None
        for _ in range(200):
            time.sleep(0.05)
            with open(self.log.name, encoding="utf-8") as said:
                found = re.search(r"under the authority in (\S+)", said.read())
            if found:
                self.authority = found.group(1)
                return self
            if self.process.poll() is not None:
                break
        self.__exit__()
        sys.exit("the local Dynamics does not start")

    def cpu(self):
        """The seconds of CPU that it has used so far."""
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait()
        self.log.close()
        self.folder.cleanup()
