"""Fails where a relative link of a Markdown file leads nowhere: `python3 deploy/build/links.py FILE...`."""

import pathlib
import re
import sys

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def anchors(path):
    """The anchors of a file's headings, as hosts of repositories make them."""
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def broken(path):
    """(link, why) for each that leads nowhere."""
    for link in LINK.findall(FENCE.sub("", path.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        if not target.exists():
            yield link, "there is no such file"
        elif anchor and target.suffix == ".md" and anchor not in anchors(target):
            yield link, "there is no such heading"


found = [f"{name}: {link}: {why}" for name in sys.argv[1:] for link, why in broken(pathlib.Path(name))]
print("\n".join(found), file=sys.stderr, end="\n" if found else "")
sys.exit(1 if found else 0)
