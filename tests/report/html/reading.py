"""What a browser would make of a page: its elements, or what is wrong with them."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"meta", "input", "br", "link"}

FETCHING = {"src", "srcset", "poster", "data", "background", "action", "xlink:href"}


class Page(HTMLParser):
    """A page that was read.

    Attributes:
        elements: Name and attributes of every element.
        text: What a person can read.
        wrong: What is not well-formed.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.wrong, self._open = "", [], []
        self.feed(text)
        self.close()
        self.wrong += [f"<{name}> is not closed" for name in self._open]

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((name, dict(attributes)))
        if name not in VOID:
            self._open.append(name)

    def handle_startendtag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((name, dict(attributes)))

    def handle_endtag(self, name: str) -> None:
        if not self._open or self._open.pop() != name:
            self.wrong.append(f"</{name}> closes another element")

    def handle_data(self, data: str) -> None:
        if not self._open or self._open[-1] != "style":
            self.text += data

    def all(self, name: str) -> list[dict[str, str | None]]:
        """Attributes of the elements of a name."""
        return [attributes for each, attributes in self.elements if each == name]

    def outside(self) -> list[str]:
        """What the page would fetch or run."""
        found = [f"<{name}>" for name, _ in self.elements if name in ("script", "iframe", "object", "embed", "img")]
        for name, attributes in self.elements:
            found += [f"{name} {key}" for key in attributes if key.startswith("on")]
            found += [f"{key}={value}" for key, value in attributes.items() if key in FETCHING and not _local(value)]
            found += [
                f"{name} href={value}" for key, value in attributes.items() if key == "href" and not _local(value)
            ]
        return found


def read(text: str) -> Page:
    """A page that is well-formed and whole by itself."""
    page = Page(text)
    assert not page.wrong, page.wrong[:3]
    assert not page.outside(), page.outside()[:3]
    assert "url(" not in text.replace("url(#", "") and "@import" not in text and "var(--None" not in text
    # Every plot says in words what it shows, and has its numbers behind it.
    assert len(page.all("title")) == len(page.all("svg")) + 1 and len(page.all("desc")) == len(page.all("svg"))
    assert all(each.get("role") == "img" and each.get("aria-label") for each in page.all("svg"))
    return page


def _local(value: str | None) -> bool:
    return not value or value == "data:," or value[0] in "#/?"
