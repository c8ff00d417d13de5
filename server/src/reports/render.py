# Turns the HTML document of standard input into a PDF on standard output. Nothing is fetched, whatever the document
# names: neither from the network nor from files. Status 69 says that weasyprint is not installed.
import logging
import resource
import sys

MAX_MEMORY = 2 << 30
resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
try:
    from weasyprint import HTML
except ImportError:
    sys.exit(69)


def refuse(url, *_, **__):
    raise ValueError("a document may fetch nothing")


logging.getLogger("weasyprint").setLevel(logging.CRITICAL)
html = sys.stdin.buffer.read().decode("utf-8")
sys.stdout.buffer.write(HTML(string=html, url_fetcher=refuse).write_pdf())
