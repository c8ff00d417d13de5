//! Whole drills against a real small service and an agent that lives in the test: it reads orders and answers them
//! through the records, as the real one does over HTTP.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use siaga_protocol::agent_api::{ActionOffer, Hello};
use siaga_protocol::orders::{Order, OrderKind, OrderResult, Outcome};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::approval::{GiveBody, withdraw};
use super::approval_http::approve_as;
use super::begin::{Asked, StartError, resume_unfinished, start_at_pace};
use super::bodies::{DrillDetail, load, load_traces, verified};
use super::execute::Pace;
use super::journal::Fact;
use super::reason::Reason;
use super::verify::{self, Verification};
use super::{pages, report, tick};
use crate::access::{Role, UserPrincipal};
use crate::app::App;
use crate::capacity::{EventCategory, NewEvent};
use crate::config::{Config, Language, TimeZoneName};
use crate::console::Page;
use crate::fleet::{RetireError, retire};
use crate::http::ApiError;
use crate::incidents::{Cause, Severity, Signal, SignalSource};
use crate::records::drill_approvals::ApprovalRow;
use crate::records::incidents::Incident;
use crate::records::{drills, hosts, incidents, known_events, orders, users};
use crate::time::{DAY_MS, now_ms};

pub(super) const QUICK: Pace = Pace {
    start_within: Duration::from_millis(400),
    undo_start_within: Duration::from_millis(400),
    answer_grace: Duration::from_millis(100),
    baseline: Duration::from_millis(150),
    stable: Duration::from_millis(100),
    dead_man_margin: Duration::from_secs(1),
};

/// What the fake agent and its service do.
#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) up: AtomicBool,
    /// Whether another instance takes over after the fault.
    pub(super) takes_over: AtomicBool,
    pub(super) fail_run: AtomicBool,
    pub(super) fail_undo: AtomicBool,
    /// The agent refuses every order.
    pub(super) refuses: AtomicBool,
    /// The undo takes the service down for so long.
    pub(super) undo_outage_ms: AtomicU64,
    pub(super) deaf: AtomicBool,
    /// So many further runs fail.
    pub(super) fail_times: AtomicU64,
    /// Rows of drills that were taken.
    pub(super) rows: Mutex<Vec<i64>>,
    /// Rows that were taken so many milliseconds before the fault are gone after it.
    pub(super) loses_ms: AtomicU64,
    done: Mutex<Vec<(String, OrderKind)>>,
}

impl World {
    pub(super) fn healthy() -> Arc<Self> {
        let world = Self::default();
        world.up.store(true, Ordering::SeqCst);
        world.takes_over.store(true, Ordering::SeqCst);
        Arc::new(world)
    }

    pub(super) fn done(&self) -> Vec<(String, OrderKind)> {
        self.done.lock().unwrap().clone()
    }

    pub(super) fn kinds(&self) -> Vec<OrderKind> {
        self.done().into_iter().map(|(_, kind)| kind).collect()
    }

    async fn carry_out(self: &Arc<Self>, order: &Order) -> Outcome {
        if self.refuses.load(Ordering::SeqCst) {
            return Outcome::Refused;
        }
        self.done.lock().unwrap().push((order.action.clone(), order.kind));
        let fails = match order.kind {
            OrderKind::Run => &self.fail_run,
            OrderKind::Undo => &self.fail_undo,
            other => panic!("a drill orders {other:?}"),
        };
        if fails.load(Ordering::SeqCst) {
            return Outcome::Failed;
        }
        let one_less = |left: u64| left.checked_sub(1);
        if order.kind == OrderKind::Run
            && self.fail_times.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok()
        {
            return Outcome::Failed;
        }
        let loses = i64::try_from(self.loses_ms.load(Ordering::SeqCst)).unwrap();
        if order.kind == OrderKind::Run && loses > 0 {
            self.rows.lock().unwrap().retain(|row| *row < now_ms() - loses);
        }
        match order.kind {
            OrderKind::Run if self.takes_over.load(Ordering::SeqCst) => {
                self.down_for(Duration::from_millis(200));
            }
            OrderKind::Run => self.up.store(false, Ordering::SeqCst),
            OrderKind::Undo => match self.undo_outage_ms.load(Ordering::SeqCst) {
                0 => self.up.store(true, Ordering::SeqCst),
                outage => self.down_for(Duration::from_millis(outage)),
            },
            OrderKind::Watch | OrderKind::Unwatch => {}
        }
        Outcome::Succeeded
    }

    fn down_for(self: &Arc<Self>, length: Duration) {
        self.up.store(false, Ordering::SeqCst);
        let world = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(length).await;
            world.up.store(true, Ordering::SeqCst);
        });
    }
}

pub(super) async fn service(world: Arc<World>) -> u16 {
    async fn answer(State(world): State<Arc<World>>) -> (StatusCode, &'static str) {
        if world.up.load(Ordering::SeqCst) {
            (StatusCode::OK, "ready")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "down")
        }
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    async fn take_row(State(world): State<Arc<World>>, Json(row): Json<serde_json::Value>) -> StatusCode {
        if !world.up.load(Ordering::SeqCst) {
            return StatusCode::SERVICE_UNAVAILABLE;
        }
        world.rows.lock().unwrap().push(row["mark"].as_i64().unwrap());
        StatusCode::CREATED
    }
    async fn give_rows(State(world): State<Arc<World>>) -> Json<Vec<i64>> {
        Json(world.rows.lock().unwrap().clone())
    }
    let router =
        Router::new().route("/", get(answer)).route("/rows", get(give_rows).post(take_row)).with_state(world);
    tokio::spawn(async move { axum::serve(listener, router).await });
    port
}

pub(super) async fn agent(app: App, world: Arc<World>) {
    loop {
        let open = app.records.run(|db| orders::open_for_host(db, "h1", now_ms(), 16)).await.unwrap();
        for signed in open {
            if world.deaf.load(Ordering::SeqCst) {
                continue;
            }
            let order: Order = serde_json::from_str(&signed.payload).unwrap();
            let outcome = world.carry_out(&order).await;
            let result = OrderResult {
                order_id: order.id,
                outcome,
                message: match outcome {
                    Outcome::Succeeded => "exit status: 0".to_owned(),
                    Outcome::Refused => "runs none for an hour".to_owned(),
                    _ => "exit status: 1".to_owned(),
                },
                output: String::new(),
                started_at_ms: now_ms(),
                ended_at_ms: now_ms(),
            };
            app.records.run(move |db| orders::set_result(db, "h1", &result, now_ms())).await.unwrap();
            app.answer_news.send_modify(|count| *count += 1);
        }
        app.presence.note("h1", now_ms());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(super) fn plan_text(port: u16, steps: usize) -> String {
    let head = format!(
        "id = \"p\"\nname = \"Alih\"\nservice = \"SPSE\"\nscenario = \"s\"\nkind = \"failover\"\nrto = \"5s\"\n\
         settle = \"1s\"\n[people]\ncoordinator = \"K\"\n[schedule]\ncron = \"0 9 * * *\"\n\
         [[steady_state]]\nname = \"siap\"\nhttp = {{ url = \"http://127.0.0.1:{port}/\", body_contains = \"ready\" }}\n\
         [[probe]]\nname = \"depan\"\nurl = \"http://127.0.0.1:{port}/\"\ninterval = \"50ms\"\n"
    );
    let step = |index| {
        format!(
            "[[step]]\nid = \"s{index}\"\nname = \"Langkah {index}\"\naction = \"stop-{index}\"\ntimeout = \"1s\"\n\
             undo = true\nrecovers_within = \"1s\"\n"
        )
    };
    (0..steps).fold(head, |text, index| text + &step(index))
}

/// An application with one host that offers two actions, an agent and a service, and the plan in its folder.
pub(super) async fn scene(folder: &Path, world: &Arc<World>, steps: usize) -> App {
    // An error means that the provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let plans = folder.join("plans");
    std::fs::create_dir_all(&plans).unwrap();
    let mut config = Config::default();
    config.storage.data_dir = folder.to_owned();
    config.continuity.plans_dir = Some(plans.clone());
    let app = crate::app::open(config, watch::channel(false).1).await.unwrap();
    let host = hosts::Host {
        id: "h1".to_owned(),
        instance: "server-1".to_owned(),
        machine_id: "m".to_owned(),
        hostname: "server-1".to_owned(),
        agent_version: "0".to_owned(),
        interval_seconds: 15,
        enrolled_at_ms: now_ms(),
        started_at_ms: None,
        last_seen_ms: None,
        actions: Vec::new(),
    };
    let offer = |index| ActionOffer {
        name: format!("stop-{index}"),
        description: String::new(),
        has_undo: true,
        timeout_seconds: 1,
    };
    let hello = Hello {
        agent_version: "0".to_owned(),
        interval_seconds: 15,
        started_at_ms: now_ms(),
        actions: (0..2).map(offer).collect(),
    };
    app.records
        .run(move |db| {
            hosts::insert(db, &host, "hash")?;
            hosts::set_hello(db, "h1", &hello)
        })
        .await
        .unwrap();
    let port = service(Arc::clone(world)).await;
    std::fs::write(plans.join("p.toml"), plan_text(port, steps)).unwrap();
    tokio::spawn(agent(app.clone(), Arc::clone(world)));
    app
}

pub(super) async fn ended(app: &App, id: &str) -> DrillDetail {
    loop {
        let (drill, rows) = load(app, id).await.unwrap();
        if drill.ended_at_ms.is_some() && app.running_drill.id().is_none() {
            return DrillDetail::new(&drill, &rows).unwrap();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(super) fn budi() -> Asked {
    Asked::by_hand("user:budi", None)
}

pub(super) async fn run(app: &App) -> DrillDetail {
    let id = start_at_pace(app, "p", budi(), QUICK).await.unwrap();
    ended(app, &id).await
}

/// The scene of a drill that has ended; the folder lives as long as it does.
struct Scene {
    detail: DrillDetail,
    world: Arc<World>,
    app: App,
    _folder: tempfile::TempDir,
}

async fn scene_and_run(change: impl FnOnce(&World), steps: usize) -> Scene {
    let folder = tempfile::tempdir().unwrap();
    let world = World::healthy();
    let app = scene(folder.path(), &world, steps).await;
    change(&world);
    let detail = run(&app).await;
    Scene { detail, world, app, _folder: folder }
}

#[tokio::test]
async fn a_good_drill_passes_and_is_measured_undone_and_reported() {
    let Scene { detail, world, app, _folder } = scene_and_run(|_| (), 2).await;
    assert_eq!(detail.drill.status, "passed", "{:?}", detail.drill.reasons);
    assert_eq!(detail.drill.restored, Some(true));
    let wanted = [("stop-0", OrderKind::Run), ("stop-1", OrderKind::Run)]
        .into_iter()
        .chain([("stop-1", OrderKind::Undo), ("stop-0", OrderKind::Undo)]);
    assert!(world.done().into_iter().eq(wanted.map(|(name, kind)| (name.to_owned(), kind))));
    assert!(detail.drill.rto_ms.is_some_and(|rto| rto > 0 && rto <= detail.drill.rto_target_ms));
    assert!(detail.measured[0].failed > 0 && detail.measured[0].detection_ms.is_some());
    assert!(detail.journal_hash.is_some() && detail.journal_problem.is_none());
    let traces = load_traces(&app, &detail.drill.id).await.unwrap();
    assert!(traces[0].1.iter().any(|point| !point.good()), "the raw trace holds the outage");
    let found = verification(&app, &detail.drill.id).await;
    assert_eq!((found.state, found.seals.len()), (verify::State::Intact, 1), "{:?}", found.flaws);
    let html = report_of(&app, &detail).await;
    for wanted in [
        "Jurnal utuh",
        found.key_id.as_deref().unwrap(),
        "Langkah 0: berhasil</td>",
        "Langkah 0: berhasil – selesai tanpa kesalahan</td>",
        "Pengembalian dan pemeriksaan sesudahnya",
        "class=\"wide\"",
        "class=\"slim\"",
        "Laporan Uji Coba",
        "Langkah 0",
        "<svg",
        "budi",
        detail.journal_hash.as_deref().unwrap(),
    ] {
        assert!(html.contains(wanted), "{wanted} is not in the report");
    }
    assert!(!html.contains("continuity."), "a text is missing from the catalogue");
    let (drill, rows) = load(&app, &detail.drill.id).await.unwrap();
    let plan = super::plan::Plan::read(&drill.plan_file, &drill.plan_text).unwrap();
    let entries = super::journal::entries(&rows).unwrap();
    let exported = super::chaostoolkit::export(&drill, &plan, &entries);
    assert_eq!((&exported["status"], &exported["deviated"]), (&"completed".into(), &false.into()));
    let names = |list: &str| -> Vec<String> {
        let name = |one: &serde_json::Value| one["activity"]["name"].as_str().unwrap().to_owned();
        exported[list].as_array().unwrap().iter().map(name).collect()
    };
    assert_eq!(
        (names("run"), names("rollbacks")),
        (
            vec!["Langkah 0".to_owned(), "Langkah 1".to_owned()],
            vec!["Langkah 1".to_owned(), "Langkah 0".to_owned()],
        )
    );
    for part in ["before", "after"] {
        let state = &exported["steady_states"][part];
        assert_eq!(
            (&state["steady_state_met"], &state["probes"][0]["tolerance_met"]),
            (&true.into(), &true.into())
        );
    }
}

async fn verification(app: &App, id: &str) -> Verification {
    let (drill, _) = load(app, id).await.unwrap();
    verified(app, drill).await.unwrap()
}

pub(super) async fn report_of(app: &App, detail: &DrillDetail) -> String {
    let report =
        report::respond(app, &detail.drill.id, Language::Indonesian, report::Form::Html).await.unwrap();
    let html = axum::body::to_bytes(report.into_body(), 1 << 22).await.unwrap();
    String::from_utf8(html.to_vec()).unwrap()
}

#[tokio::test]
async fn a_drill_whose_orders_the_agent_refused_measured_nothing_and_left_the_system_as_it_was() {
    let Scene { detail, world, app, _folder } =
        scene_and_run(|world| world.refuses.store(true, Ordering::SeqCst), 1).await;
    assert_eq!((detail.drill.status.as_str(), detail.drill.restored), ("failed", Some(true)));
    assert_eq!((detail.drill.rto_ms, detail.drill.downtime_ms), (None, None));
    assert!(detail.measured.is_empty() && detail.rollback.is_empty() && world.done().is_empty());
    let facts = || detail.journal.iter().map(|entry| &entry.fact);
    assert!(!facts().any(|fact| matches!(fact, Fact::Measured { .. })), "nothing was measured");
    assert!(
        facts().any(|fact| matches!(fact, Fact::UndoStarted { .. })),
        "the rollback is tried all the same"
    );
    assert!(
        detail.drill.reasons[0].contains("the agent refused step Langkah 0"),
        "{:?}",
        detail.drill.reasons
    );
    assert!(open_incident(&app).await.is_none(), "nothing is broken");
    let html = report_of(&app, &detail).await;
    assert!(html.contains("class=\"crit\">tidak diukur</td>") && !html.contains("class=\"ok\">0 milidetik"));
}

#[tokio::test]
async fn a_rollback_that_takes_the_service_down_for_longer_than_the_target_fails_the_drill_and_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::healthy();
    let app = scene(folder.path(), &world, 1).await;
    world.undo_outage_ms.store(1_200, Ordering::SeqCst);
    let plan = folder.path().join("plans/p.toml");
    let text = std::fs::read_to_string(&plan).unwrap();
    std::fs::write(&plan, text.replace("rto = \"5s\"\nsettle = \"1s\"", "rto = \"1s\"\nsettle = \"10s\""))
        .unwrap();
    let detail = run(&app).await;
    assert_eq!((detail.drill.status.as_str(), detail.drill.restored), ("failed", Some(true)));
    let by_rollback = |reason: &&String| reason.contains("the rollback disturbed the service for");
    assert_eq!(detail.drill.reasons.iter().filter(by_rollback).count(), 1, "{:?}", detail.drill.reasons);
    let (steps, rollback) = (&detail.measured[0], &detail.rollback[0]);
    assert!(rollback.downtime_ms >= 1_200 && steps.downtime_ms < rollback.downtime_ms, "{rollback:?}");
    assert_eq!(detail.drill.downtime_ms, Some(steps.downtime_ms + rollback.downtime_ms));
    assert_eq!(detail.drill.rto_ms, steps.rto_ms, "the recovery time is that of the fault");
    let html = report_of(&app, &detail).await;
    for wanted in ["Gangguan selama pengembalian", "Seluruh uji coba sejak gangguan"] {
        assert!(html.contains(wanted), "{wanted} is not in the report");
    }
    let red = format!(
        "<title>tidak menjawab: {} ms</title>",
        rollback.gaps[0].to_ms.unwrap() - rollback.gaps[0].from_ms
    );
    assert!(html.contains(&red), "the picture and the table say the same: {red}");
}

#[tokio::test]
async fn a_host_stays_in_service_as_long_as_a_drill_may_have_to_undo_something_there() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::healthy();
    let app = scene(folder.path(), &world, 2).await;
    let id = start_at_pace(&app, "p", budi(), QUICK).await.unwrap();
    wait_for(&app, &id, |fact| matches!(fact, Fact::StepStarted { .. })).await;
    let retire_now = || retire(&app, "server-1", "user:budi");
    let refused = retire_now().await.unwrap_err();
    assert!(matches!(&refused, RetireError::InDrill(drill) if drill.id == id));
    let page = Page::detached(Language::Indonesian, "LPSE", TimeZoneName::default(), false);
    let RetireError::InDrill(drill) = &refused else { return };
    assert_eq!(pages::drill_link(&page, drill).0, format!("/kelangsungan/latihan/{id}"));
    let refused = ApiError::from(refused);
    assert_eq!(refused.status(), StatusCode::CONFLICT);
    assert!(refused.message().contains("drill 1 of plan p has begun a step there"), "{}", refused.message());
    assert_eq!(ended(&app, &id).await.drill.restored, Some(true));
    retire_now().await.unwrap();
    assert!(matches!(retire_now().await, Err(RetireError::Unknown(_))));
}

#[tokio::test]
async fn a_host_that_left_before_its_first_step_is_given_no_order() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::healthy();
    let app = scene(folder.path(), &world, 1).await;
    let slow = Pace { baseline: Duration::from_millis(600), ..QUICK };
    let id = start_at_pace(&app, "p", budi(), slow).await.unwrap();
    retire(&app, "server-1", "user:budi").await.unwrap();
    let detail = ended(&app, &id).await;
    assert_eq!((detail.drill.status.as_str(), detail.drill.restored), ("failed", Some(true)));
    assert!(detail.drill.reasons[0].contains("server-1 is not enrolled"), "{:?}", detail.drill.reasons);
    assert!(world.done().is_empty() && detail.drill.rto_ms.is_none());
}

#[tokio::test]
async fn without_its_steady_state_a_drill_is_refused_before_any_order() {
    let Scene { detail, world, .. } = scene_and_run(|world| world.up.store(false, Ordering::SeqCst), 1).await;
    assert_eq!(detail.drill.status, "refused");
    assert!(world.done().is_empty());
    assert!(
        detail.drill.reasons.iter().any(|reason| reason.contains("HTTP 503")),
        "{:?}",
        detail.drill.reasons
    );
}

#[tokio::test]
async fn a_failed_step_is_undone_as_well_and_no_further_one_starts() {
    let Scene { detail, world, .. } =
        scene_and_run(|world| world.fail_run.store(true, Ordering::SeqCst), 2).await;
    assert_eq!((detail.drill.status.as_str(), detail.drill.restored), ("failed", Some(true)));
    assert_eq!(world.kinds(), [OrderKind::Run, OrderKind::Undo]);
}

#[tokio::test]
async fn a_service_that_does_not_come_back_fails_and_is_brought_back_by_the_undo() {
    let Scene { detail, world, .. } =
        scene_and_run(|world| world.takes_over.store(false, Ordering::SeqCst), 1).await;
    assert_eq!((detail.drill.status.as_str(), detail.drill.restored), ("failed", Some(true)));
    assert_eq!((detail.drill.rto_ms, world.kinds()), (None, vec![OrderKind::Run, OrderKind::Undo]));
    assert!(detail.drill.reasons.iter().any(|reason| reason.contains("did not recover within 1000 ms")));
}

#[tokio::test]
async fn a_failed_undo_is_tried_again_and_then_reported_as_not_restored() {
    let Scene { detail, world, app, _folder } =
        scene_and_run(|world| world.fail_undo.store(true, Ordering::SeqCst), 1).await;
    assert_eq!((detail.drill.status.as_str(), detail.drill.restored), ("failed", Some(false)));
    assert_eq!(world.kinds(), [OrderKind::Run, OrderKind::Undo, OrderKind::Undo]);
    assert!(
        detail
            .drill
            .reasons
            .iter()
            .any(|reason| reason.contains("undo of step Langkah 0 on server-1 FAILED"))
    );
    let waiting = app.records.run(|db| drills::not_restored(db)).await.unwrap();
    assert_eq!(waiting.len(), 1);
    let incident = open_incident(&app).await.expect("an incident is open");
    assert!(
        incident.detail_en.contains("undo of step Langkah 0 on server-1 FAILED"),
        "{}",
        incident.detail_en
    );
    assert!(incident.title_id.contains("Alih") && incident.quiet_since_ms.is_none());
    world.fail_undo.store(false, Ordering::SeqCst);
    assert_eq!(run(&app).await.drill.status, "passed");
    assert!(
        app.records.run(|db| drills::not_restored(db)).await.unwrap().is_empty(),
        "a good drill clears it"
    );
    let incident = open_incident(&app).await;
    assert!(incident.is_none_or(|incident| incident.quiet_since_ms.is_some()), "its signal is gone");
}

pub(super) async fn open_incident(app: &App) -> Option<Incident> {
    super::signals::sync(app).await.unwrap();
    let cause = Cause { instance: String::new(), component: "drill:p".to_owned() };
    app.records.run(move |db| incidents::open_by_cause(db, &cause)).await.unwrap()
}

#[tokio::test]
async fn an_agent_that_does_not_answer_fails_the_step_and_its_undo() {
    let Scene { detail, .. } = scene_and_run(|world| world.deaf.store(true, Ordering::SeqCst), 1).await;
    assert_eq!((detail.drill.status.as_str(), detail.drill.restored), ("failed", Some(false)));
    assert!(
        detail.drill.reasons[0].contains("the agent of server-1 did not answer"),
        "{:?}",
        detail.drill.reasons
    );
}

/// Puts lines before the schedule of the scene's plan.
fn add_to_plan(folder: &Path, lines: &str) {
    let file = folder.join("plans/p.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replacen("[schedule]", &format!("{lines}\n[schedule]"), 1)).unwrap();
}

async fn user(app: &App, name: &str, role: Role) -> UserPrincipal {
    let (id, username, display_name) = (name.to_owned(), name.to_owned(), name.to_uppercase());
    let row = users::User {
        id: id.clone(),
        username: username.clone(),
        display_name: display_name.clone(),
        roles: vec![role],
        disabled_at_ms: None,
    };
    app.records.run(move |db| users::insert(db, &row, "hash", 1)).await.unwrap();
    UserPrincipal { id, username, display_name, roles: vec![role], by_session: false }
}

async fn approve(app: &App, user: &UserPrincipal) -> Result<ApprovalRow, ApiError> {
    let body = GiveBody { reason: "sudah dibahas".to_owned(), valid_until_ms: None };
    approve_as(app, "p", user.clone(), body).await
}

#[tokio::test]
async fn a_drill_begins_only_when_enough_people_of_the_named_roles_have_approved_and_once() {
    let folder = tempfile::tempdir().unwrap();
    let app = scene(folder.path(), &World::healthy(), 1).await;
    add_to_plan(folder.path(), "[approval]\nroles = [\"ketua_lpse\", \"pengelola_risiko\"]");
    let (siti, dewi) = (Role::KetuaLpse, Role::PengelolaRisiko);
    let (siti, dewi) = (user(&app, "siti", siti).await, user(&app, "dewi", dewi).await);
    let stranger = user(&app, "eko", Role::AdministratorSistem).await;
    let begin = || start_at_pace(&app, "p", budi(), QUICK);
    let lacks = |result, wanted| {
        assert!(matches!(result, Err(StartError::NotApproved { given, .. }) if given == wanted))
    };
    lacks(begin().await, 0);
    assert_eq!(approve(&app, &stranger).await.unwrap_err().status(), StatusCode::FORBIDDEN);
    let first = approve(&app, &siti).await.unwrap();
    assert_eq!(approve(&app, &siti).await.unwrap_err().status(), StatusCode::CONFLICT);
    lacks(begin().await, 1);
    approve(&app, &dewi).await.unwrap();
    let (id, owner) = (first.id.clone(), dewi.clone());
    let refused = app.records.run(move |db| withdraw(db, &id, &owner, now_ms())).await;
    assert_eq!(refused.unwrap_err().status(), StatusCode::FORBIDDEN, "not one's own");
    // A plan that was changed after the approval is another plan.
    let file = folder.path().join("plans/p.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{text}\n# changed")).unwrap();
    lacks(begin().await, 0);
    std::fs::write(&file, text).unwrap();
    let detail = run(&app).await;
    assert_eq!(detail.drill.status, "passed", "{:?}", detail.drill.reasons);
    let Fact::Opened { approved_by, .. } = &detail.journal[0].fact else { panic!("opened first") };
    let names: Vec<&str> = approved_by.iter().map(|note| note.by.as_str()).collect();
    assert_eq!(names, ["user:siti", "user:dewi"]);
    assert!(report_of(&app, &detail).await.contains("Disetujui oleh"));
    lacks(begin().await, 0);
    let used = app.records.run(move |db| withdraw(db, &first.id, &siti, now_ms())).await;
    assert_eq!(used.unwrap_err().status(), StatusCode::CONFLICT, "used");
}

#[tokio::test]
async fn a_planned_drill_without_approvals_does_not_begin_and_incidents_tell_it() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::healthy();
    let app = scene(folder.path(), &world, 1).await;
    add_to_plan(folder.path(), "[approval]\nroles = [\"ketua_lpse\"]\napprovers = 1");
    tick::look(&app, &Mutex::default(), now_ms()).await.unwrap();
    let schedule = super::schedule::Schedule::parse("0 9 * * *", "Asia/Jakarta").unwrap();
    let date = schedule.next_after(now_ms()).unwrap();
    let incident = async |component: &str| {
        super::signals::sync(&app).await.unwrap();
        let cause = Cause { instance: String::new(), component: component.to_owned() };
        app.records.run(move |db| incidents::open_by_cause(db, &cause)).await.unwrap()
    };
    let waiting = incident("drill-approval:p").await.expect("the date is within three days");
    assert!(waiting.detail_id.contains("0 dari 1. Peran: Ketua LPSE"), "{}", waiting.detail_id);
    assert!(incident("drill-overdue:p").await.is_none());
    tick::look(&app, &Mutex::default(), date + 1_000).await.unwrap();
    let found = app.records.run(|db| drills::latest(db, None, 10)).await.unwrap();
    assert_eq!((found.len(), found[0].status.as_str(), found[0].scheduled_for_ms), (1, "missed", Some(date)));
    assert!(found[0].reasons.contains("not_approved") && world.done().is_empty());
    let overdue = incident("drill-overdue:p").await.expect("the exercise is overdue");
    assert!(overdue.detail_en.contains("not approved: 0 of 1"), "{}", overdue.detail_en);
    approve(&app, &user(&app, "siti", Role::KetuaLpse).await).await.unwrap();
    let waiting = incident("drill-approval:p").await;
    assert!(waiting.is_none_or(|incident| incident.quiet_since_ms.is_some()), "approved");
    assert_eq!(run(&app).await.drill.status, "passed");
    let overdue = incident("drill-overdue:p").await;
    assert!(overdue.is_none_or(|incident| incident.quiet_since_ms.is_some()), "carried out");
}

#[tokio::test]
async fn a_known_event_or_an_incident_of_high_priority_holds_a_drill_back_but_for_a_reason_on_record() {
    let folder = tempfile::tempdir().unwrap();
    let app = scene(folder.path(), &World::healthy(), 1).await;
    let blackouts = "[[blackout]]\nname = \"Tenggat tender\"\nevents = [\"tender\"]\nbefore = \"1day\"\n\
                     [[blackout]]\nname = \"Gangguan\"\nincidents = \"high\"";
    add_to_plan(folder.path(), blackouts);
    let deadline = NewEvent {
        uid: "t".to_owned(),
        category: EventCategory::Tender,
        name: "Paket A".to_owned(),
        from_ms: now_ms() + DAY_MS / 2,
        to_ms: now_ms() + DAY_MS / 2,
    };
    app.records.run(move |db| known_events::store(db, &deadline, "", "user:x", 1)).await.unwrap();
    let critical = Signal {
        key: "k".to_owned(),
        instance: None,
        component: "rule:X".to_owned(),
        severity: Severity::Critical,
        title_id: "x".to_owned(),
        title_en: "x".to_owned(),
        detail_id: String::new(),
        detail_en: String::new(),
        value: None,
        started_at_ms: now_ms(),
    };
    crate::incidents::sync(&app, SignalSource::Alert, vec![critical]).await.unwrap();
    let begin = |despite: Option<&str>| {
        start_at_pace(&app, "p", Asked::by_hand("user:budi", despite.map(str::to_owned)), QUICK)
    };
    let wanted = [
        Reason::InEvent { blackout: "Tenggat tender".to_owned(), event: "Paket A".to_owned() },
        Reason::IncidentsOpen { blackout: "Gangguan".to_owned(), count: 1 },
    ];
    assert!(matches!(begin(None).await, Err(StartError::Held(holds)) if holds == wanted));
    assert!(matches!(begin(Some(" ")).await, Err(StartError::NoReason)));
    let by_schedule = Asked { despite: Some("x".to_owned()), ..Asked::by_schedule(now_ms()) };
    let held = start_at_pace(&app, "p", by_schedule, QUICK).await;
    assert!(matches!(held, Err(StartError::Held(_))), "the schedule has no reasons");
    let id = begin(Some("server cadangan baru dipasang")).await.unwrap();
    let detail = ended(&app, &id).await;
    let Fact::Opened { despite: Some(despite), .. } = &detail.journal[0].fact else { panic!("on record") };
    assert_eq!(
        (despite.holds.as_slice(), despite.why.as_str()),
        (&wanted[..], "server cadangan baru dipasang")
    );
}

#[tokio::test]
async fn what_the_fleet_cannot_do_is_refused_on_record() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::healthy();
    let app = scene(folder.path(), &world, 1).await;
    app.records.run(|db| hosts::retire(db, "h1", now_ms())).await.unwrap();
    let detail = run(&app).await;
    assert_eq!(detail.drill.status, "refused");
    assert!(detail.drill.reasons[0].contains("no enrolled host offers"), "{:?}", detail.drill.reasons);
}

#[tokio::test]
async fn the_stop_button_ends_a_drill_through_its_rollback_and_one_runs_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::healthy();
    world.takes_over.store(false, Ordering::SeqCst);
    let app = scene(folder.path(), &world, 2).await;
    let id = start_at_pace(&app, "p", budi(), QUICK).await.unwrap();
    let second = start_at_pace(&app, "p", budi(), QUICK).await;
    assert!(matches!(second, Err(StartError::Busy(running)) if running == id));
    wait_for(&app, &id, |fact| matches!(fact, Fact::StepAnswered { .. })).await;
    assert!(app.running_drill.stop(&id, "user:budi"));
    let detail = ended(&app, &id).await;
    assert_eq!((detail.drill.status.as_str(), detail.drill.restored), ("aborted", Some(true)));
    assert_eq!(world.kinds(), [OrderKind::Run, OrderKind::Undo]);
    assert!(detail.drill.reasons.iter().any(|reason| reason == "stopped by user:budi"));
}

pub(super) async fn wait_for(app: &App, id: &str, wanted: impl Fn(&Fact) -> bool) {
    loop {
        let (_, rows) = load(app, id).await.unwrap();
        if super::journal::entries(&rows).unwrap().iter().any(|entry| wanted(&entry.fact)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// The server ends as soon as a fact is written, and starts again. Service and agent are other processes: they live in
/// a runtime of their own and go on.
fn cut_off_after(wanted: fn(&Fact) -> bool) -> (DrillDetail, Arc<World>) {
    let folder = tempfile::tempdir().unwrap();
    let world = World::healthy();
    let outside = Runtime::new().unwrap();
    let (first, second) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    let app = outside.block_on(scene(folder.path(), &world, 1));
    let id = first.block_on(async {
        let id = start_at_pace(&app, "p", budi(), QUICK).await.unwrap();
        wait_for(&app, &id, wanted).await;
        id
    });
    first.shutdown_timeout(Duration::from_secs(5));
    let detail = second.block_on(async {
        resume_unfinished(&app, QUICK).await.unwrap();
        let detail = ended(&app, &id).await;
        let found = verification(&app, &id).await;
        assert_eq!(found.state, verify::State::Intact, "{:?}", found.flaws);
        detail
    });
    (detail, world)
}

#[test]
fn a_drill_that_was_cut_off_anywhere_is_rolled_back_and_closed_as_aborted() {
    let cuts: [fn(&Fact) -> bool; 6] = [
        |fact| matches!(fact, Fact::Opened { .. }),
        |fact| matches!(fact, Fact::StepStarted { .. }),
        |fact| matches!(fact, Fact::StepAnswered { .. }),
        |fact| matches!(fact, Fact::Measured { .. }),
        |fact| matches!(fact, Fact::UndoStarted { .. }),
        |fact| matches!(fact, Fact::UndoEnded { .. }),
    ];
    for (number, cut) in cuts.into_iter().enumerate() {
        let (detail, world) = cut_off_after(cut);
        assert_eq!(detail.drill.status, "aborted", "cut {number}: {:?}", detail.drill.reasons);
        assert_eq!(detail.drill.restored, Some(true), "cut {number}: {:?}", detail.drill.reasons);
        assert!(world.up.load(Ordering::SeqCst), "cut {number}: the service is up");
        let kinds = world.kinds();
        assert!(kinds.is_empty() || kinds.last() == Some(&OrderKind::Undo), "cut {number}: {kinds:?}");
        assert!(detail.journal_problem.is_none(), "cut {number}");
        assert!(
            detail.drill.reasons.iter().any(|reason| reason.contains("ended in the middle")),
            "cut {number}"
        );
    }
}

#[tokio::test]
async fn dates_that_passed_while_the_server_was_off_are_recorded_once_and_start_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::healthy();
    let app = scene(folder.path(), &world, 1).await;
    let now = now_ms();
    tick::look(&app, &Mutex::default(), now).await.unwrap();
    let list = || app.records.run(|db| drills::latest(db, None, 10));
    assert!(list().await.unwrap().is_empty(), "a new plan owes nothing for the past");
    let schedule = super::schedule::Schedule::parse("0 9 * * *", "Asia/Jakarta").unwrap();
    let later = schedule.next_after(now).unwrap() + 3 * DAY_MS + DAY_MS / 48;
    tick::look(&app, &Mutex::default(), later).await.unwrap();
    tick::look(&app, &Mutex::default(), later + 5_000).await.unwrap();
    let found = list().await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].status.as_str(), found[0].scheduled_for_ms), ("missed", Some(later - DAY_MS / 48)));
    assert!(found[0].reasons.contains("\"others\":3"));
    assert_eq!(verification(&app, &found[0].id).await.state, verify::State::Intact);
    assert!(world.done().is_empty());
}
