"""Draws mails and cards in Chromium, as wide as a desk and as narrow as a phone: nothing is cut off, and cards are whole.

pictures.py FOLDER NODE_MODULES: pictures go into FOLDER/pictures. Mails are drawn as they are; cards by Microsoft's own
renderer with the settings of Teams; blocks of Slack by a page of ours, since Slack publishes no renderer.
"""

import email
import email.policy
import html
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

CHROMIUM = os.environ.get("CHROMIUM", "chromium")
folder, modules = (pathlib.Path(name).resolve() for name in sys.argv[1:3])
pictures = folder / "pictures"
pictures.mkdir(exist_ok=True)
failed = False


def chromium(path, *args):
    with tempfile.TemporaryDirectory() as profile:
        command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-color-profile=srgb",
                   f"--user-data-dir={profile}", "--allow-file-access-from-files", *args, path.as_uri()]
        return subprocess.run(command, capture_output=True, text=True, timeout=240).stdout


def draw(name, page, width, height):
    """A picture of a page, and what the page says of itself."""
    path = folder / f"{name}.html"
    path.write_text(page)
    chromium(path, f"--window-size={width},{height}", f"--screenshot={pictures / name}.png")
    dom = chromium(path, f"--window-size={width},{height}", "--dump-dom")
    found = re.search(r"<script type=\"application/json\" id=\"said\">(.*?)</script>", dom, re.S)
    said = json.loads(found.group(1)) if found else ["the page did not finish"]
    global failed
    failed |= bool(said) or not (pictures / f"{name}.png").exists()
    print(f"FAIL {name}: {'; '.join(said)}" if said else f"pass {name}")


SAY = """
function say(what) {
  const said = document.createElement("script");
  said.type = "application/json"; said.id = "said"; said.textContent = JSON.stringify(what).replaceAll("<", "\\\\u003c");
  document.body.append(said);
}
"""

mails = []
for path in sorted((folder / "mails").glob("*.eml")):
    mail = email.message_from_string(path.read_text(), policy=email.policy.default)
    rich, plain = (mail.get_body((kind,)).get_content() for kind in ("html", "plain"))
    mails.append((str(mail["Subject"]), rich, plain))
    for part in ("Message-ID", "Date", "From", "To", "Subject", "Auto-Submitted"):
        if not mail[part]:
            failed = True
            print(f"FAIL {path.name}: no {part}")

for device, width, high in (("desk", 720, 580), ("phone", 375, 960)):
    frames = "".join(
        f"<figure><figcaption>{html.escape(subject)}</figcaption>"
        f"<iframe width={width} height={high} srcdoc=\"{html.escape(rich)}\"></iframe></figure>"
        for subject, rich, _ in mails)
    columns = 2 if device == "desk" else 4
    page = f"""<!doctype html><meta charset=utf-8><style>body {{ margin: 16px; background: #ddd; font: 12px sans-serif;
  display: grid; grid-template-columns: repeat({columns}, {width}px); gap: 16px }} figure {{ margin: 0 }} iframe {{ border: 0; background: #fff }}
  figcaption {{ white-space: nowrap; overflow: hidden; text-overflow: ellipsis }}</style>{frames}<script>{SAY}
onload = () => say([...document.querySelectorAll("iframe")].flatMap((frame, at) => {{
  const page = frame.contentDocument.documentElement;
  const out = [];
  if (page.scrollWidth > page.clientWidth) out.push(`mail ${{at + 1}} is wider than its window`);
  if (page.scrollHeight > frame.height) out.push(`mail ${{at + 1}} is ${{page.scrollHeight}} high, and the picture cuts it off`);
  return out;
}}));</script>"""
    rows = -(-len(mails) // columns)
    draw(f"mails-{device}", page, columns * (width + 16) + 16, rows * (high + 40) + 32)

text = "".join(f"<pre>{html.escape(plain)}</pre>" for _, _, plain in mails)
draw("mails-text", f"""<!doctype html><meta charset=utf-8><style>body {{ columns: 2; width: 1500px; font-size: 12px }}
pre {{ break-inside: avoid; white-space: pre-wrap; border: 1px solid #999; padding: 8px; margin: 0 0 8px }}</style>{text}
<script>{SAY}say([]);</script>""", 1540, 1500)

cards = [json.loads(path.read_text())["attachments"][0]["content"] for path in sorted((folder / "teams").glob("*.json"))]
for theme, background in (("light", "#ffffff"), ("dark", "#292929")):
    host = (modules / f"adaptivecards-designer/lib/hostConfigs/microsoft-teams-{theme}.json").read_text()
    for device, width in (("desk", 600), ("phone", 300)):
        page = f"""<!doctype html><meta charset=utf-8>
<link rel=stylesheet href="file://{modules}/adaptivecards/dist/adaptivecards.css">
<script src="file://{modules}/markdown-it/dist/markdown-it.min.js"></script>
<script src="file://{modules}/adaptivecards/dist/adaptivecards.min.js"></script>
<style>body {{ margin: 16px; background: #888; columns: {2 if device == 'desk' else 4}; width: {2 * width + 32 if device == 'desk' else 4 * width + 64}px }}
.card {{ width: {width}px; background: {background}; break-inside: avoid; margin-bottom: 16px; border-radius: 4px }}</style>
<script>{SAY}
const wrong = [];
const marked = markdownit();
AdaptiveCards.AdaptiveCard.onProcessMarkdown = (text, result) => {{ result.outputHtml = marked.render(text); result.didProcess = true; }};
for (const [at, content] of {json.dumps(cards).replace('<', chr(92) + 'u003c')}.entries()) {{
  const card = new AdaptiveCards.AdaptiveCard();
  card.hostConfig = new AdaptiveCards.HostConfig({host});
  const context = new AdaptiveCards.SerializationContext();
  card.parse(content, context);
  for (let event = 0; event < context.eventCount; event++) wrong.push(`card ${{at + 1}}: ${{context.getEventAt(event).message}}`);
  const results = card.validateProperties();
  for (const event of results.validationEvents) wrong.push(`card ${{at + 1}}: ${{event.message}}`);
  const box = document.createElement("div");
  box.className = "card";
  box.append(card.render());
  document.body.append(box);
  if (box.scrollWidth > box.clientWidth) wrong.push(`card ${{at + 1}} is wider than its place`);
  const said = box.innerText;
  for (const fact of content.body.flatMap((element) => element.facts || []))
    if (!said.includes(fact.title)) wrong.push(`card ${{at + 1}} does not say ${{fact.title}}`);
}}
say(wrong);
</script>"""
        page = page.replace("<script>" + SAY, "<body><script>" + SAY, 1)
        draw(f"cards-{theme}-{device}", page, (2 * width if device == "desk" else 4 * width) + 120, 1500 if device == "desk" else 1700)


def marked(text):
    """What Slack makes of its own marks."""
    text = text["text"] if text["type"] == "mrkdwn" else html.escape(text["text"])
    text = re.sub(r"<(https?://[^|>]*)\|([^>]*)>", r'<a href="\1">\2</a>', text)
    text = re.sub(r"```(.*?)```", r"<pre>\1</pre>", text, flags=re.S)
    text = re.sub(r"`([^`\n]+)`", r"<code>\1</code>", text)
    text = re.sub(r"(?<![\w*])\*([^*\n]+)\*(?![\w*])", r"<b>\1</b>", text)
    return text.replace("\n", "<br>")


def blocks(message):
    out = ""
    for block in message["blocks"]:
        if block["type"] == "header":
            out += f"<h3>{marked(block['text'])}</h3>"
        elif "fields" in block:
            out += "<div class=fields>" + "".join(f"<div>{marked(field)}</div>" for field in block["fields"]) + "</div>"
        else:
            out += f"<p>{marked(block['text'])}</p>"
    return f"<article>{out}</article>"


messages = "".join(blocks(json.loads(path.read_text())) for path in sorted((folder / "slack").glob("*.json")))
draw("slack", f"""<!doctype html><meta charset=utf-8><style>body {{ margin: 16px; background: #ddd; columns: 2; width: 1232px; font: 15px/1.46 Lato, sans-serif }}
article {{ background: #fff; padding: 8px 16px; break-inside: avoid; margin-bottom: 16px }} h3 {{ font-size: 18px; margin: 4px 0 }} p {{ margin: 6px 0 }}
.fields {{ display: grid; grid-template-columns: 1fr 1fr; gap: 8px }} code {{ color: #c01343; background: #f6f6f6 }} pre {{ background: #f6f6f6; padding: 8px; margin: 4px 0; white-space: pre-wrap }}</style>
<body>{messages}<script>{SAY}say([...document.querySelectorAll("article")].filter((a) => a.scrollWidth > a.clientWidth).map(() => "a message is too wide"));</script>""", 1280, 1500)
sys.exit(failed)
