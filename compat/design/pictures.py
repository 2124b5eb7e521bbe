"""Has Mermaid read and draw each picture, and a browser draw each SVG: nothing overlaps, nothing leaves its box."""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

CHROMIUM = os.environ.get("CHROMIUM", "chromium")
MERMAID = os.environ["MERMAID"]
folder = pathlib.Path(sys.argv[1])


def asked(page):
    """What a page leaves in its title, as JSON."""
    with tempfile.TemporaryDirectory() as dir:
        path = pathlib.Path(dir, "page.html")
        path.write_text(page)
        command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000",
                   f"--user-data-dir={dir}/profile", "--allow-file-access-from-files", "--dump-dom", path.as_uri()]
        dom = subprocess.run(command, capture_output=True, text=True, timeout=120).stdout
    found = re.search(r"<script type=\"application/json\" id=\"said\">(.*?)</script>", dom, re.S)
    return json.loads(found.group(1)) if found else {"error": "the page did not finish"}


SAY = """
function say(what) {
  const said = document.createElement("script");
  said.type = "application/json"; said.id = "said"; said.textContent = JSON.stringify(what).replaceAll("<", "\\\\u003c");
  document.body.append(said);
}
"""


def drawn(text):
    return asked(f"""<!doctype html><body><script src="file://{MERMAID}"></script><script>{SAY}
(async () => {{
  try {{
    mermaid.initialize({{ startOnLoad: false }});
    const text = {json.dumps(text)};
    const kind = await mermaid.parse(text);
    const {{ svg }} = await mermaid.render("picture", text);
    const div = document.createElement("div"); div.innerHTML = svg; document.body.append(div);
    say({{ kind: kind.diagramType, nodes: div.querySelectorAll(".node").length, lines: div.querySelectorAll(".edgePaths path").length }});
  }} catch (why) {{ say({{ error: String(why) }}); }}
}})();
</script>""")


def looked_at(svg):
    """Texts that leave their box, boxes of systems that overlap, and lines that nothing is at the end of."""
    return asked(f"""<!doctype html><body style="margin:0">{svg}<script>{SAY}
const wrong = [];
const box = (of) => of.getBoundingClientRect();
const whole = box(document.querySelector("svg"));
for (const group of document.querySelectorAll("g")) {{
  const own = box(group.querySelector("rect"));
  for (const text of group.querySelectorAll("text")) {{
    const at = box(text);
    if (at.left < own.left || at.right > own.right || at.top < own.top || at.bottom > own.bottom)
      wrong.push("`" + text.textContent + "` leaves its box");
  }}
}}
const boxes = [...document.querySelectorAll("rect.system, rect.integration")].map(box);
boxes.forEach((one, at) => boxes.slice(at + 1).forEach((other) => {{
  if (one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom)
    wrong.push("two boxes overlap");
}}));
for (const text of document.querySelectorAll("svg > text")) {{
  const at = box(text);
  if (at.right > whole.right || at.bottom > whole.bottom) wrong.push("`" + text.textContent + "` leaves the picture");
}}
say({{ wrong, boxes: boxes.length }});
</script>""")


failed = False
for path in sorted(folder.iterdir()):
    if path.suffix == ".mmd":
        text = path.read_text()
        said = drawn(text)
        nodes = len(re.findall(r"^ +[si]\d+[\[(]", text, re.M))
        lines = len(re.findall(r"-->|-\.->", text))
        good = said.get("kind", "").startswith("flowchart") and (said["nodes"], said["lines"]) == (nodes, lines) and nodes > 2
    else:
        said = looked_at(path.read_text())
        good = said.get("wrong") == [] and said["boxes"] > 2
    print(f"{'pass' if good else 'FAIL'} {path.name}{'' if good else ': ' + json.dumps(said)}")
    failed |= not good
sys.exit(failed)
