"""Without a sign-in nothing is reached; with TLS no cookie leaves in the clear; signing out ends it."""

from __future__ import annotations

import re

import httpx
import pytest
from jupyterhub.app import JupyterHub

from hub.settings import ROOT
from tests.hub.live import PASSWORD, xsrf
from tests.support import until

pytestmark = pytest.mark.xdist_group("hub")

PUBLIC = {
    "/hub/login",
    "/hub/health",
    "/hub/api/health",
    "/hub/api/",
    "/hub/logo",
    "/hub/error/404",
    "/hub/confirm/ada",
}
"""What somebody without an account gets, and all of it: the form, that the hub lives, its version, its picture, the
page of an error, and of NativeAuthenticator that an invitation is no valid one (there are no invitations)."""


def refused(answer: httpx.Response) -> bool:
    """Say whether an answer shows nothing: an error, or, where redirections lead, the form of the sign-in."""
    return answer.url.path == "/hub/login" or answer.status_code in (400, 401, 403, 404, 405, 424, 503)


def addresses_of_the_hub() -> list[str]:
    """Every address that JupyterHub answers, as its own application lists them; Ada stands for what is free."""
    app = JupyterHub()
    app.load_config_file(str(ROOT / "hub" / "jupyterhub_config.py"))
    app.authenticator = app.authenticator_class(parent=app, add_new_table=False)
    app.init_handlers()
    patterns = [handler[0] for handler in app.handlers if handler[0].startswith("/hub/")]
    free = re.compile(r"\((?:\?P<\w+>)?\[\^/\][+*]\)|\((?:\?P<\w+>)?/?\.\*\)\??")
    filled = {free.sub("ada", pattern.replace("(?P<user_path>/.*)?", "/lab")) for pattern in patterns}
    return sorted({path.replace(r"(\d+)", "404").replace("(?:/ada)?", "/ada").rstrip("$?") for path in filled})


SERVICES = ["", "gpdata", "gpdata/", "gpdata/v1/runs", "usage", "usage/", "idle-culler", "idle-culler/"]
OF_A_SERVER = [
    "",
    "lab",
    "tree",
    "api/status",
    "api/contents",
    "api/contents/example-notebooks",
    "api/kernels",
    "api/kernelspecs",
    "api/sessions",
    "api/terminals",
    "api/metrics/v1",
    "api/me",
    "metrics",
    "files/example-notebooks/.delivered.json",
    "nbconvert/html/example-notebooks/01-first-look.ipynb",
    "view/example-notebooks/01-first-look.ipynb",
    "voila/tree",
    "voila/render/example-notebooks/01-first-look.ipynb",
    "voila/files/example-notebooks/01-first-look.ipynb",
    "spark-ui/",
    "spark-ui/environment/",
    "proxy/8000/",
    "proxy/absolute/8000/",
    "server-proxy/servers-info",
    "lab/api/settings",
    "lab/api/workspaces",
    "lsp/status",
    "terminals/websocket/1",
    "api/kernels/x/channels",
    "api/events/subscribe",
]


FOR_THE_HUB = [
    ("DELETE", "users/ada/server"),
    ("GET", "users/ada/tokens"),
    ("POST", "users/ada/tokens"),
    ("GET", "users"),
    ("DELETE", "users/ada"),
    ("POST", "shutdown"),
    ("GET", "proxy"),
]


def test_every_page_of_a_users_server_is_refused_to_strangers_and_to_other_users(lab_hub):
    _, ada, bob = lab_hub
    assert ada.get("api/contents").status_code == 200
    assert set(httpx.get(f"{ada.server}api", verify=ada.verify).json()) == {"version"}  # and this is all
    for path in OF_A_SERVER:
        stranger = httpx.get(ada.server + path, verify=ada.verify, follow_redirects=True)
        assert refused(stranger), (path, stranger.status_code, stranger.text[:200])
        other = httpx.get(ada.server + path, headers=bob.headers(), verify=bob.verify, follow_redirects=True)
        assert refused(other), (path, other.status_code, other.text[:200])
        by_cookie = bob.client.get(ada.server + path)
        assert refused(by_cookie), (path, by_cookie.status_code, by_cookie.text[:200])


def test_nothing_is_written_or_started_by_strangers_and_other_users(lab_hub):
    _, ada, bob = lab_hub
    note = {"type": "file", "format": "text", "content": "not mine"}
    for headers in ({}, bob.headers()):
        for method, path, body in [
            ("PUT", "api/contents/note.txt", note),
            ("POST", "api/kernels", {}),
            ("POST", "api/terminals", {}),
            ("DELETE", "api/contents/example-notebooks", None),
            ("POST", "api/shutdown", None),
        ]:
            answer = httpx.request(method, ada.server + path, json=body, headers=headers, verify=ada.verify)
            assert answer.status_code in (302, 403, 404, 405), (method, path, answer.status_code)
        for method, path in FOR_THE_HUB:
            answer = httpx.request(method, f"{ada.url}hub/api/{path}", headers=headers, verify=ada.verify)
            assert answer.status_code in (403, 404), (method, path, answer.status_code)
    assert ada.is_ready()
    assert ada.get("api/contents/note.txt").status_code == 404
    assert ada.get("api/contents/example-notebooks").status_code == 200


def test_every_page_of_the_hub_and_its_services_is_refused_to_strangers(lab_hub, state):
    hub, ada, _ = lab_hub
    addresses = addresses_of_the_hub()
    assert len(addresses) > 40
    assert not [address for address in addresses if re.search(r"[()\\?*]", address)]
    services = [f"/services/{entry}" for entry in SERVICES]
    seen = {}
    for path in [*addresses, *services]:
        seen[path] = httpx.get(hub.url.rstrip("/") + path, verify=hub.verify, follow_redirects=True)
    public = {path: answer.status_code for path, answer in seen.items() if not refused(answer)}
    unknown = {path: code for path, code in public.items() if path not in PUBLIC}
    assert not unknown, unknown
    assert set(httpx.get(f"{hub.url}hub/api/", verify=hub.verify).json()) == {"version"}
    assert ada.call("GET", "info").status_code == 403  # nor to a user who is no administrator


def test_cookies_stay_encrypted_and_out_of_reach_of_scripts(lab_hub):
    hub, _, _ = lab_hub
    with httpx.Client(base_url=hub.url, verify=hub.verify, timeout=60) as client:
        client.get("hub/login")
        data = {"username": "ada", "password": PASSWORD.format("ada"), "_xsrf": xsrf(client)}
        answer = client.post("hub/login", data=data)
    cookies = {line.split("=", 1)[0]: line.lower() for line in answer.headers.get_list("Set-Cookie")}
    assert {"jupyterhub-session-id", "jupyterhub-hub-login"} <= set(cookies)
    for name, line in cookies.items():
        assert "; secure" in line, name
    assert "httponly" in cookies["jupyterhub-hub-login"]
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


def test_plain_http_is_not_answered_at_the_address_of_tls(lab_hub):
    hub, _, _ = lab_hub
    with pytest.raises(httpx.TransportError):
        httpx.get(hub.url.replace("https", "http", 1), timeout=30)


def test_signing_out_ends_the_session_also_where_the_cookie_was_copied(lab_hub):
    hub, _, _ = lab_hub
    bob = hub.sign_in("bob")
    assert bob.client.get("user/bob/lab").url.path == "/user/bob/lab"
    copied = httpx.Cookies(bob.client.cookies)
    bob.client.get("hub/logout")
    thief = httpx.Client(base_url=hub.url, cookies=copied, verify=hub.verify, timeout=60)
    for client in (bob.client, thief):
        for path in ("hub/home", "hub/token"):
            assert client.get(path, follow_redirects=True).url.path == "/hub/login", path
        assert client.get("hub/api/user").status_code == 403
        until(
            lambda client=client: refused(client.get("user/bob/lab", follow_redirects=True)), 60, "the server's refusal"
        )


def test_a_password_that_bcrypt_cannot_read_is_answered_as_any_wrong_one(lab_hub):
    hub, _, _ = lab_hub
    with httpx.Client(base_url=hub.url, verify=hub.verify, timeout=60) as client:
        for password in ("x" * 73, "a wrong password"):
            client.get("hub/login")
            answer = client.post("hub/login", data={"username": "ada", "password": password, "_xsrf": xsrf(client)})
            assert (answer.status_code, answer.url.path) == (200, "/hub/login")
            assert "Invalid username or password" in answer.text
