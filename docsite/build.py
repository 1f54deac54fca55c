"""`make site`: build/site from docs/, strictly; a link or an anchor that leads nowhere is an error.

    python -m docsite.build [--output DIR] [--repository https://host/team/tuneship/blob/main]

The pages are laid into a folder of their own with links as the site has them, and Zensical, from ``.venv-site``, makes
HTML of them. What it made is then checked once more. Files of the repository that are no pages are linked at
``--repository``.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from docsite.check import problems
from docsite.navigation import INDEX, navigation, to_toml
from docsite.pages import ROOT, BrokenLink, move_links, pages

SHIM = '<script src="https://unpkg.com/iframe-worker/shim" type="text/javascript"></script>'
"""What the generator's offline plugin would have every page load from elsewhere."""
OFFLINE = Path(__file__).with_name("offline.js")

GENERATOR = ROOT / ".venv-site" / "bin" / "zensical"
CONFIGURATION = Path(__file__).with_name("zensical.toml")


def write_source(folder: Path, repository: str = "") -> None:
    """The generator's configuration and pages in ``folder``; raises BrokenLink."""
    for name, place in pages().items():
        target = folder / "docs" / place
        target.parent.mkdir(parents=True, exist_ok=True)
        if place.endswith(".md"):
            target.write_text(move_links((ROOT / name).read_text(encoding="utf-8"), name, repository), encoding="utf-8")
        else:
            shutil.copyfile(ROOT / name, target)
    listed = to_toml(navigation((ROOT / INDEX).read_text(encoding="utf-8")))
    configuration = CONFIGURATION.read_text(encoding="utf-8").replace("nav = []", f"nav = {listed}")
    (folder / "zensical.toml").write_text(configuration, encoding="utf-8")


def run_generator(folder: Path) -> Path:
    """The site made of the source in ``folder``; raises CalledProcessError where the generator finds something."""
    subprocess.run([GENERATOR, "build", "--strict", "--clean"], cwd=folder, check=True)
    script = f"<script>{OFFLINE.read_text(encoding='utf-8')}</script>"
    for page in (folder / "site").rglob("*.html"):
        page.write_text(page.read_text(encoding="utf-8").replace(SHIM, script), encoding="utf-8")
    return folder / "site"


def build(output: Path, repository: str = "") -> None:
    """Replaces ``output``; raises BrokenLink and CalledProcessError."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_source(folder, repository)
        site = run_generator(folder)
        if found := problems(site):
            raise BrokenLink("\n".join(found))
        shutil.rmtree(output, ignore_errors=True)
        output.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(site, output)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m docsite.build")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "site")
    parser.add_argument("--repository", default="")
    options = parser.parse_args()
    try:
        build(options.output, options.repository)
    except (BrokenLink, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{options.output}/index.html")
    return 0


if __name__ == "__main__":
    sys.exit(main())
