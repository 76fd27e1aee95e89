"""The documentation's site: it builds without a warning, holds every page, and needs no network to be read."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(path.stem for path in DOCS.glob("[!_]*.md"))


def build(source: Path, out: Path) -> subprocess.CompletedProcess[str]:
    options = ["-q", "-W", "--keep-going", "-n", "-b", "html", "-d", str(out.with_name("cache"))]
    words = [sys.executable, "-m", "sphinx", *options, str(source), str(out)]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=100)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make docs` makes."""
    out = tmp_path_factory.mktemp("site") / "html"
    done = build(DOCS, out)
    assert (done.returncode, done.stderr) == (0, "")
    return out


@pytest.mark.parametrize("page", PAGES)
def test_every_page_is_there_and_fetches_nothing_from_elsewhere(site: Path, page: str) -> None:
    text = (site / f"{page}.html").read_text(encoding="utf-8")
    fetched = re.findall(r"""<(?:script|img|iframe|source|object)\b[^>]*?\s(?:src|data)=["']([^"']*)""", text)
    fetched += re.findall(r"""<link\b[^>]*?rel="(?:stylesheet|icon|preload)"[^>]*?href="([^"]*)""", text)
    assert fetched
    assert not [address for address in fetched if "//" in address]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_one_title(page: str) -> None:
    text = re.sub(r"^```.*?^```", "", (DOCS / f"{page}.md").read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    assert len(re.findall(r"^# ", text, flags=re.MULTILINE)) == 1


def test_a_page_in_no_list_fails_the_build(tmp_path: Path) -> None:
    source = tmp_path / "docs"
    shutil.copytree(DOCS, source)
    (source / "stray.md").write_text("# Stray\n")
    done = build(source, tmp_path / "html")
    assert done.returncode == 1
    assert "stray.md: WARNING: document isn't included in any toctree" in done.stderr


def test_a_link_that_leads_nowhere_fails_the_build(tmp_path: Path) -> None:
    source = tmp_path / "docs"
    shutil.copytree(DOCS, source)
    with (source / "http.md").open("a") as page:
        page.write("\nSee [there](nowhere.md).\n")
    done = build(source, tmp_path / "html")
    assert done.returncode == 1
    assert "nowhere.md" in done.stderr


def test_the_page_of_metrics_is_up_to_date() -> None:
    words = [sys.executable, "docs/gen_metrics.py", "--check"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("page", PAGES)
def test_a_page_reads_well_as_a_plain_file(page: str) -> None:
    """Directives are Sphinx's own: they are in comments, with links beside them to the files that they show."""
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    plain = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    assert "```{" not in plain
    links = set(re.findall(r"\]\(([^)#:]+)", plain))
    assert not [link for link in links if not (DOCS / link).exists()]
    assert set(re.findall(r"^```\{literalinclude\} (\S+)$", text, re.MULTILINE)) <= links


def test_the_first_page_links_every_other_and_in_the_order_of_the_site() -> None:
    text = (DOCS / "index.md").read_text(encoding="utf-8")
    lists = re.findall(r"^```\{toctree\}\n(?::.*\n)*\n((?:.+\n)+)```", text, re.MULTILINE)
    listed = "".join(lists).split()
    assert sorted([*listed, "index"]) == PAGES
    assert re.findall(r"^- \[[^\]]*\]\((\w[\w-]*)\.md\)$", text, re.MULTILINE) == listed


def test_the_site_shows_the_programs(site: Path) -> None:
    text = (site / "languages.html").read_text(encoding="utf-8")
    words = ("OpenQuoteContext", "FTAPI_Conn_Qot", "FtWebsocket", "ImplicitUsings")
    assert not [word for word in words if word not in text]
