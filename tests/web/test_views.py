"""The page and Pipecat's client as files over HTTP: these, with the right headers, and no others."""

import ssl

import aiohttp
import pytest

from smallrtc_cli.web import tls
from smallrtc_cli.web.door import Door
from smallrtc_cli.web.page import PAGE, Folder, prebuilt_client
from smallrtc_cli.web.server import SignallingServer

FILES = {
    "index.html": b"<!doctype html><p>page</p>",
    "app.js": b"export {}",
    "style.css": b"p{}",
    "assets/icon.svg": b"<svg/>",
    "notes.py": b"not for the web",
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "page" / "assets").mkdir(parents=True)
    for name, content in FILES.items():
        (tmp_path / "page" / name).write_bytes(content)
    (tmp_path / "secret.html").write_text("s3cret")
    return tmp_path / "page"


@pytest.fixture
async def opened():
    servers = []

    async def start(tls=None, **door):
        servers.append(SignallingServer(None, door=Door(**door)))
        return await servers[-1].start(tls=tls)

    yield start
    for server in servers:
        await server.close()


@pytest.fixture
async def http():
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield session


async def fetch(http, url, **options):
    async with http.get(url, **options) as response:
        return response, await response.read()


@pytest.mark.parametrize(
    ("path", "name", "kind"),
    [
        ("/", "index.html", "text/html; charset=utf-8"),
        ("/page/app.js", "app.js", "text/javascript; charset=utf-8"),
        ("/page/style.css", "style.css", "text/css; charset=utf-8"),
        ("/page/assets/icon.svg", "assets/icon.svg", "image/svg+xml"),
    ],
)
async def test_a_file_of_the_page_comes_with_its_type_and_policy(http, opened, folder, path, name, kind):
    url = await opened(page=folder)
    response, body = await fetch(http, url + path)
    assert (response.status, body, response.headers["Content-Type"]) == (200, FILES[name], kind)
    assert response.headers["Content-Security-Policy"].startswith("default-src 'self'; ")
    assert "unsafe" not in response.headers["Content-Security-Policy"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["Cache-Control"] == "no-cache"
    assert int(response.headers["Content-Length"]) == len(body)


async def test_an_edited_file_is_served_as_it_is_now(http, opened, folder):
    url = await opened(page=folder)
    (folder / "app.js").write_bytes(b"export default 1")
    assert (await fetch(http, f"{url}/page/app.js"))[1] == b"export default 1"


async def test_a_file_that_is_gone_is_404(http, opened, folder):
    url = await opened(page=folder)
    (folder / "app.js").unlink()
    response, _ = await fetch(http, f"{url}/page/app.js")
    assert (response.status, response.content_type) == (404, "application/json")


@pytest.mark.parametrize(
    "name", ["../secret.html", "/../secret.html", "notes.py", "", ".", "assets", "app.js/", "APP.JS"]
)
async def test_no_name_leads_to_another_file(folder, name):
    with pytest.raises(aiohttp.web.HTTPNotFound):
        await Folder(folder).response(name)


@pytest.mark.parametrize("path", ["/", "/client", "/client/"])
async def test_a_page_without_the_token_says_so_in_words(http, opened, folder, path):
    url = await opened(page=folder, client=folder, token="s3cret")
    for query in ("", "?token=wrong"):
        response, body = await fetch(http, url + path + query)
        assert (response.status, response.content_type) == (401, "text/plain")
        assert b"token" in body
        assert FILES["index.html"] not in body
    assert (await fetch(http, f"{url}{path}?token=s3cret"))[0].status == 200


async def test_the_files_of_the_page_need_no_token(http, opened, folder):
    url = await opened(page=folder, token="s3cret")
    assert (await fetch(http, f"{url}/page/app.js"))[0].status == 200


async def test_pipecats_client_is_served_below_client(http, opened, folder):
    url = await opened(page=folder, client=folder)
    response, body = await fetch(http, f"{url}/client?x=1")
    assert (response.url.path_qs, response.status, body) == ("/client/?x=1", 200, FILES["index.html"])
    assert (await fetch(http, f"{url}/client/assets/icon.svg"))[1] == FILES["assets/icon.svg"]
    assert (await fetch(http, f"{url}/client/none.js"))[0].status == 404


async def test_without_pipecats_client_it_is_said_how_to_get_it(http, opened, folder):
    url = await opened(page=folder)
    async with http.get(f"{url}/client/") as response:
        assert response.status == 404
        assert "pip install pipecat-ai-prebuilt" in (await response.json())["hint"]


async def test_the_page_of_pipecats_client_gets_a_ticket_in_the_place_of_the_token(http, opened, folder):
    url = await opened(page=folder, client=folder, token="s3cret")
    assert (await fetch(http, f"{url}/status"))[0].status == 401
    response, _ = await fetch(http, f"{url}/client/?token=s3cret")
    cookie = response.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "s3cret" not in cookie
    async with http.post(f"{url}/start") as response:
        assert response.status == 200
    other = await opened(page=folder, client=folder, token="s3cret")
    assert (await fetch(http, f"{other}/status"))[0].status == 401


async def test_a_ticket_does_not_let_foreign_pages_in(http, opened, folder):
    url = await opened(page=folder, client=folder, token="s3cret")
    await fetch(http, f"{url}/client/?token=s3cret")
    async with http.post(f"{url}/start", headers={"Origin": "http://localhost:3000"}) as response:
        assert response.status == 403


async def test_the_whole_of_pipecats_published_client_is_served(http, opened):
    folder = prebuilt_client()
    if folder is None:
        pytest.skip("pipecat-ai-prebuilt is not installed")
    url = await opened(page=PAGE, client=folder)
    for path in folder.rglob("*"):
        if path.is_file():
            response, body = await fetch(http, f"{url}/client/{path.relative_to(folder).as_posix()}")
            assert (response.status, body) == (200, path.read_bytes())


async def test_the_page_of_this_package_is_there(http, opened):
    url = await opened(page=PAGE)
    response, body = await fetch(http, url)
    assert (response.status, response.content_type) == (200, "text/html")
    assert b"<script>" not in body


async def test_https_with_the_self_made_certificate(http, opened, folder, tmp_path):
    subjects = tls.Subjects.of([], [])
    url = await opened(tls.own_context(tmp_path / "data", subjects), page=folder)
    assert url.startswith("https://127.0.0.1:")
    trusting = ssl.create_default_context(cafile=tmp_path / "data" / tls.FILE)
    response, body = await fetch(http, url, ssl=trusting)
    assert (response.status, body) == (200, FILES["index.html"])


async def test_plain_http_to_https_is_no_defect(http, opened, folder, tmp_path, caplog):
    url = await opened(tls.own_context(tmp_path, tls.Subjects.of([], [])), page=folder)
    with pytest.raises(aiohttp.ClientError):
        await fetch(http, url.replace("https", "http"))
    assert caplog.records == []
