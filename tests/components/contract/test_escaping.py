"""Hostile texts where people and programs read them: on terminals, on pages, in tables and in queries."""

import csv
import io
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from components.contract import escaping
from components.settings.errors import UserError

HOSTILE = [
    *(
        "[/v2]",
        "[bold red]x[/]",
        "\x1b[2J\x1b]0;title\x07",
        "\x9b31m",
        "a\rb",
        "a\nb",
        "\u202egnp.exe",
        "\u2066x\u2069",
    ),
    *("<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "![x](//evil/a.png)", "[x](javascript:alert(1))"),
    *("a | b", "# title", "- item", "1. item", "> quote", "```\ncode", "~~~", "`code`", "*a* _b_ __c__", "&lt;b&gt;"),
    *("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", '=HYPERLINK("//evil")', 'a,b"c', "---", "===", "\\", "\\|", "\\[x](y)"),
    *("x' OR name LIKE '%", "$name", "${name}", "{0}", "%s", "新品 鞋子", "名称|名", "\x00", "\x7f", "&#60;b&#62;"),
    *("[x]: //evil/y", "[x][y]", "a [x]", "lift [+0.1, +0.2] clicks", "[![x](//evil/a.png)](//evil)"),
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_terminal_gets_no_control_character(text):
    shown = escaping.terminal(text)
    assert all(letter == "\n" or letter.isprintable() for letter in shown)


def test_a_terminal_gets_plain_words_as_they_are():
    for text in ("新品 鞋子, 20 %", "line\nline", "naïve · [0.1, 0.2]", "全角　空格"):
        assert escaping.terminal(text) == text


def rendered(text: str) -> str:
    return MarkdownIt("commonmark", {"html": True}).enable("table").render(text)


class Seen(HTMLParser):
    """Tags and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.text += data


def one_line(text: str) -> str:
    return " ".join(escaping.terminal(text).split())


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_shows_the_text_itself(text):
    listed = Seen(rendered(f"- {escaping.markdown(text)}\n- next\n"))
    assert listed.tags == ["ul", "li", "li"]
    assert one_line(listed.text.replace("next", "")) == one_line(text)
    cell = Seen(rendered(f"| a | b |\n|---|---|\n| {escaping.markdown(text)} | next |\n"))
    assert cell.tags == ["table", "thead", "tr", "th", "th", "tbody", "tr", "td", "td"]
    assert one_line(cell.text) == " ".join(["a b", *one_line(text).split(), "next"])


@given(st.text(max_size=40))
def test_markdown_shows_any_text_itself(text):
    listed = Seen(rendered(f"- {escaping.markdown(text)}\n- next\n"))
    assert listed.tags == ["ul", "li", "li"]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_fence_holds(text):
    assert Seen(rendered(escaping.fenced(f"a\n{text}\nb"))).tags == ["pre", "code"]


@pytest.mark.parametrize("text", HOSTILE)
def test_html_holds_no_tag(text):
    page = Seen(f'<p title="{escaping.web(text)}">{escaping.web(text)}</p>')
    assert page.tags == ["p"]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_spreadsheet_runs_nothing(text):
    stream = io.StringIO()
    csv.writer(stream).writerow([escaping.csv_cell(text), escaping.csv_cell(-1.5)])
    shown, number = next(csv.reader(io.StringIO(stream.getvalue(), newline="")))
    assert not shown.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert number == "-1.5"


@pytest.mark.parametrize("name", ["x' OR name LIKE '%", "a\\", 'a"b', "", "a\n", "店"])
def test_a_query_takes_no_quotes(name):
    with pytest.raises(UserError, match="a model's name"):
        escaping.filter_by_name(name)


def test_a_query_takes_a_models_name():
    assert escaping.filter_by_name("my_shop-policy") == "name = 'my_shop-policy'"
