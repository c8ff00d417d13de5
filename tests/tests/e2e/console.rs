//! The console in a real browser: signing in, every page, both languages, a phone's width, the keyboard.

use std::mem::ManuallyDrop;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use siaga_tests::harness::{Agent, Server, free_port, wait_for};
use thirtyfour::prelude::*;

const LONG: Duration = Duration::from_secs(90);

const PAGES: [(&str, &str, &str); 7] = [
    ("/", "Ringkasan", "Overview"),
    ("/server", "Server", "Servers"),
    ("/kapasitas", "Kapasitas", "Capacity"),
    ("/insiden", "Insiden", "Incidents"),
    ("/aset", "Aset", "Assets"),
    ("/kelangsungan", "Kelangsungan", "Service continuity"),
    ("/pengguna", "Pengguna", "Users"),
];

/// A browser of its own, with an empty profile.
struct Browser {
    driver: Child,
    /// Never dropped: its drop asks the driver to end the session, and waits two minutes for one that has ended.
    web: ManuallyDrop<WebDriver>,
    profile: tempfile::TempDir,
}

impl Browser {
    async fn start() -> Self {
        let port = free_port();
        let profile = tempfile::tempdir().unwrap();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver: `make test-tools` installs it");
        let mut capabilities = DesiredCapabilities::chrome();
        for argument in [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1280,900",
        ] {
            capabilities.add_arg(argument).unwrap();
        }
        capabilities.add_arg(&format!("--user-data-dir={}", profile.path().display())).unwrap();
        let url = format!("http://127.0.0.1:{port}");
        let web =
            wait_for("the browser", LONG, async || WebDriver::new(&url, capabilities.clone()).await.ok())
                .await;
        Self { driver, web: ManuallyDrop::new(web), profile }
    }

    async fn open(&self, server: &Server, path: &str) {
        self.web.goto(format!("{}{path}", server.api.url)).await.unwrap();
    }

    /// Waits for a page whose heading begins so: a page that is just being left gives its elements no more.
    async fn see(&self, heading: &str) {
        wait_for(&format!("a page {heading}"), LONG, async || {
            let found = self.web.find(By::Tag("h1")).await.ok()?.text().await.ok()?;
            found.starts_with(heading).then_some(())
        })
        .await;
    }

    /// A number that the page's script gives.
    async fn measure(&self, script: &str) -> i64 {
        self.web.execute(script, vec![]).await.unwrap().json().as_i64().unwrap()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver that is ended leaves its browser running; its profile tells it from all others.
        let mark = format!("user-data-dir={}", self.profile.path().display());
        let _ = Command::new("pkill").args(["-TERM", "-f", "--", &mark]).status();
        let _ = Command::new("kill").arg("-TERM").arg(self.driver.id().to_string()).status();
        let _ = self.driver.wait();
    }
}

fn first_run(server: &Server) -> (String, String) {
    let text = std::fs::read(server.data_dir().join("first-run.json")).unwrap();
    let first: serde_json::Value = serde_json::from_slice(&text).unwrap();
    (first["user"].as_str().unwrap().to_owned(), first["password"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn every_page_is_read_in_both_languages_on_a_desk_and_on_a_phone() {
    let server = Server::start("").await.unwrap();
    let agent = Agent::start(&server, "[collect]\ninterval_seconds = 1\n").unwrap();
    let instance = agent.instance().unwrap();
    wait_for("first figures", LONG, async || {
        (!server.api.query("node_load1", None).await.unwrap().is_empty()).then_some(())
    })
    .await;
    let browser = Browser::start().await;

    // Who is not signed in is led to the login, and from there back; the keyboard is enough.
    browser.open(&server, "/server").await;
    browser.see("Masuk").await;
    let (user, password) = first_run(&server);
    browser.web.find(By::Id("username")).await.unwrap().send_keys(&user).await.unwrap();
    browser.web.find(By::Id("password")).await.unwrap().send_keys("salah" + Key::Enter).await.unwrap();
    wait_for("the refusal", LONG, async || {
        let alert = browser.web.find(By::Css("[role=alert]")).await.ok()?.text().await.ok()?;
        alert.contains("salah").then_some(())
    })
    .await;
    browser.web.find(By::Id("username")).await.unwrap().send_keys(&user).await.unwrap();
    browser.web.find(By::Id("password")).await.unwrap().send_keys(password + Key::Enter).await.unwrap();
    browser.see("Server").await;
    assert!(browser.web.source().await.unwrap().contains(&instance), "the server's row is missing");

    for language in ["id", "en"] {
        browser.open(&server, &format!("/bahasa?ke={language}&lanjut=/")).await;
        for (path, indonesian, english) in PAGES {
            browser.open(&server, path).await;
            let wanted = if language == "id" { indonesian } else { english };
            browser.see(wanted).await;
            let html = browser.web.find(By::Tag("html")).await.unwrap();
            assert_eq!(html.attr("lang").await.unwrap().as_deref(), Some(language), "{path}");
            assert_eq!(
                browser
                    .measure("return document.querySelectorAll('header [aria-current=page]').length")
                    .await,
                1,
                "{path}"
            );
        }
    }
    let charts = "return document.querySelectorAll('svg[role=img]').length";
    wait_for("charts", LONG, async || {
        browser.open(&server, &format!("/server/{instance}")).await;
        (browser.measure(charts).await >= 3).then_some(())
    })
    .await;
    // A server of some seconds would be a dot at the edge of more than an hour.
    let hour = "return document.querySelectorAll('a[href=\"?rentang=1j\"][aria-current=page]').length";
    assert_eq!(browser.measure(hour).await, 1);

    // A phone: nothing is wider than the screen.
    browser.web.set_window_rect(0, 0, 500, 800).await.unwrap();
    for (path, _, _) in PAGES {
        browser.open(&server, path).await;
        let too_wide = browser
            .measure("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
            .await;
        assert!(too_wide <= 0, "{path} is {too_wide} pixels wider than a narrow screen");
    }
    // The first stop of the keyboard leads past the navigation.
    browser.open(&server, "/").await;
    browser.web.active_element().await.unwrap().send_keys(Key::Tab + "").await.unwrap();
    let focused = browser.web.active_element().await.unwrap();
    assert_eq!(focused.attr("href").await.unwrap().as_deref(), Some("#isi"));

    // Signing out ends the session.
    browser.web.find(By::Css("form[action='/keluar'] button")).await.unwrap().click().await.unwrap();
    browser.open(&server, "/").await;
    assert!(browser.measure("return document.querySelectorAll('#password').length").await == 1);
}

#[tokio::test]
async fn pages_are_whole_without_javascript() {
    let server = Server::start("[rules]\ndefaults = false\n").await.unwrap();
    let (user, password) = first_run(&server);
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let form = [("username", user), ("password", password)];
    let request =
        http.post(format!("{}/masuk", server.api.url)).header("sec-fetch-site", "same-origin").form(&form);
    let answer = request.send().await.unwrap();
    for cookie in answer.headers().get_all("set-cookie") {
        let cookie = cookie.to_str().unwrap();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite"), "{cookie}");
    }
    let cookie = siaga_tests::harness::cookies(answer.headers());
    for (path, indonesian, _) in PAGES {
        let answer =
            http.get(format!("{}{path}", server.api.url)).header("cookie", &cookie).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"), "{policy}");
        let html = answer.text().await.unwrap();
        assert!(html.contains(&format!("<h1>{indonesian}")), "{path} has no heading {indonesian}");
        assert!(!html.contains("<script>") && !html.contains(" onclick="), "{path} has inline script");
    }
}
