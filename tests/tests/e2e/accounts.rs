//! Users and tokens on the pages: what each role may do, what is refused, and that nobody locks the office out.

use reqwest::{Client, RequestBuilder, Response, StatusCode, redirect};
use siaga_tests::harness::{Server, cookies};

/// A person with a session, who sends forms as a browser does.
struct Person {
    http: Client,
    url: String,
    cookie: String,
}

impl Person {
    async fn sign_in(server: &Server, user: &str, password: &str) -> Option<Self> {
        let http = Client::builder().redirect(redirect::Policy::none()).build().unwrap();
        let url = server.api.url.clone();
        let form = [("username", user), ("password", password)];
        let request = http.post(format!("{url}/masuk")).header("sec-fetch-site", "same-origin").form(&form);
        let answer = request.send().await.unwrap();
        let cookie = cookies(answer.headers());
        (!cookie.is_empty()).then_some(Self { http, url, cookie })
    }

    fn as_browser(&self, request: RequestBuilder) -> RequestBuilder {
        request
            .header("cookie", &self.cookie)
            .header("accept", "text/html")
            .header("sec-fetch-site", "same-origin")
    }

    async fn open(&self, path: &str) -> (StatusCode, String) {
        read(self.as_browser(self.http.get(format!("{}{path}", self.url))).send().await.unwrap()).await
    }

    async fn send(&self, path: &str, form: &[(&str, &str)]) -> (StatusCode, String) {
        let request = self.http.post(format!("{}{path}", self.url)).form(form);
        read(self.as_browser(request).send().await.unwrap()).await
    }
}

async fn read(answer: Response) -> (StatusCode, String) {
    let status = answer.status();
    (status, answer.text().await.unwrap())
}

/// What the page shows once.
fn shown_once(html: &str) -> String {
    let (_, rest) = html.split_once("<code>").unwrap_or_else(|| panic!("nothing is shown in {html}"));
    rest.split('<').next().unwrap().to_owned()
}

async fn administrator(server: &Server) -> Person {
    let text = std::fs::read(server.data_dir().join("first-run.json")).unwrap();
    let first: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let (user, password) = (first["user"].as_str().unwrap(), first["password"].as_str().unwrap());
    Person::sign_in(server, user, password).await.unwrap()
}

#[tokio::test]
async fn a_user_is_added_given_roles_and_let_in_no_more() {
    let server = Server::start("[rules]\ndefaults = false\n").await.unwrap();
    let admin = administrator(&server).await;
    let new = [("username", "sari"), ("display_name", "Sari"), ("peran", "helpdesk")];
    let (status, html) = admin.send("/pengguna", &new).await;
    assert_eq!(status, StatusCode::OK, "{html}");
    let password = shown_once(&html);
    let (status, html) = admin.send("/pengguna", &new).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(html.contains("role=\"alert\"") && html.contains("sudah dipakai"), "{html}");

    let sari = Person::sign_in(&server, "sari", &password).await.unwrap();
    let (status, html) = sari.open("/pengguna").await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(html.contains("<h1>") && html.contains("tidak mengizinkan"), "a refusal is a page: {html}");
    assert_eq!(sari.send("/pengguna", &new).await.0, StatusCode::FORBIDDEN);
    assert_eq!(sari.send("/token/pendaftaran", &[]).await.0, StatusCode::FORBIDDEN);
    assert!(!sari.open("/").await.1.contains("href=\"/pengguna\""), "the menu shows what may be opened");

    assert_eq!(admin.send("/pengguna/sari/peran", &[("peran", "penilai")]).await.0, StatusCode::SEE_OTHER);
    assert_eq!(sari.open("/pengguna").await.0, StatusCode::OK, "an assessor reads the audit trail");
    assert_eq!(admin.send("/pengguna/sari/nonaktif", &[]).await.0, StatusCode::SEE_OTHER);
    assert_eq!(sari.open("/").await.0, StatusCode::SEE_OTHER, "the session has ended");
    assert!(Person::sign_in(&server, "sari", &password).await.is_none());

    let (_, trail) = admin.open("/pengguna").await;
    for action in ["user.create", "user.roles", "user.disable"] {
        assert!(trail.contains(action), "{action} is missing from the audit trail");
    }
}

#[tokio::test]
async fn the_last_one_who_manages_users_stays() {
    let server = Server::start("[rules]\ndefaults = false\n").await.unwrap();
    let admin = administrator(&server).await;
    for (path, form) in
        [("/pengguna/admin/peran", &[("peran", "helpdesk")][..]), ("/pengguna/admin/nonaktif", &[][..])]
    {
        assert_eq!(admin.send(path, form).await.0, StatusCode::CONFLICT, "{path}");
        assert_eq!(admin.open("/pengguna/admin").await.0, StatusCode::OK, "{path} changed something");
    }
}

#[tokio::test]
async fn a_token_has_its_users_rights_until_it_is_revoked_and_a_password_is_changed() {
    let server = Server::start("[rules]\ndefaults = false\n").await.unwrap();
    let admin = administrator(&server).await;
    let (status, html) = admin.send("/token", &[("name", "grafana"), ("hari", "90")]).await;
    assert_eq!(status, StatusCode::OK);
    let program = server.api.with_token(&shown_once(&html));
    assert_eq!(program.get("/api/v1/me").await.unwrap()["username"], "admin");
    let tokens = program.get("/api/v1/tokens").await.unwrap();
    let made = tokens.as_array().unwrap().iter().find(|token| token["name"] == "grafana").unwrap();
    let revoke = format!("/token/{}/cabut", made["id"].as_str().unwrap());
    assert_eq!(admin.send(&revoke, &[]).await.0, StatusCode::SEE_OTHER);
    assert!(program.get("/api/v1/me").await.is_err(), "a revoked token is good no more");

    let change = |present: &'static str| [("lama", present), ("baru", "kata sandi yang panjang")];
    assert_eq!(admin.send("/token/sandi", &change("salah")).await.0, StatusCode::FORBIDDEN);
    let (_, html) = admin.send("/token/pendaftaran", &[]).await;
    assert!(shown_once(&html).contains("siaga-agent enrol --server http://127.0.0.1:"), "{html}");
    let (_, html) = admin.send("/pengguna/admin/sandi", &[]).await;
    let again = Person::sign_in(&server, "admin", &shown_once(&html)).await.unwrap();
    assert_eq!(again.open("/").await.0, StatusCode::OK);
    assert_eq!(admin.open("/").await.0, StatusCode::SEE_OTHER, "a new password ends old sessions");
}
