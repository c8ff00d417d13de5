//! What the engine does beside orders one after another: orders at the same time, tried again, stop conditions, people,
//! rows that are written and counted, a dry run; and the end of the server after each entry of the journal.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use siaga_protocol::orders::OrderKind;
use tokio::runtime::Runtime;

use super::begin::{resume_unfinished, start_at_pace};
use super::bodies::{DrillDetail, load, waits_for};
use super::dry_run::dry_run;
use super::execute_tests::{QUICK, World, budi, ended, report_of, run, scene, wait_for};
use super::http::{ConfirmBody, confirm_step};
use super::journal::{self, Fact};
use crate::app::App;
use crate::records::{drills, orders};
use crate::time::now_ms;

/// Changes the plan of a scene.
fn change(folder: &Path, work: impl FnOnce(String) -> String) {
    let path = folder.join("plans/p.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(path, work(text)).unwrap();
}

fn facts(detail: &DrillDetail) -> Vec<&Fact> {
    detail.journal.iter().map(|entry| &entry.fact).collect()
}

#[tokio::test]
async fn steps_that_wait_for_the_same_ones_are_ordered_before_any_answer_and_undone_in_reverse() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::healthy();
    let app = scene(folder.path(), &world, 2).await;
    change(folder.path(), |text| text.replace("action = \"stop-1\"", "after = []\naction = \"stop-1\""));
    let detail = run(&app).await;
    assert_eq!(detail.drill.status, "passed", "{:?}", detail.drill.reasons);
    let place = |wanted: fn(&&Fact) -> bool| facts(&detail).iter().position(wanted).unwrap();
    let second = place(|fact| matches!(fact, Fact::StepStarted { step: 1, .. }));
    assert!(second < place(|fact| matches!(fact, Fact::StepAnswered { .. })));
    let undone: Vec<String> =
        world.done().into_iter().filter(|(_, kind)| *kind == OrderKind::Undo).map(|(name, _)| name).collect();
    assert_eq!(undone, ["stop-1", "stop-0"]);
}

#[tokio::test]
async fn an_action_that_fails_is_tried_again_as_often_as_the_plan_says() {
    for (fails, status, runs) in [(2, "passed", 3), (3, "failed", 3)] {
        let folder = tempfile::tempdir().unwrap();
        let world = World::healthy();
        let app = scene(folder.path(), &world, 1).await;
        change(folder.path(), |text| text.replace("undo = true", "undo = true\nretries = 2"));
        world.fail_times.store(fails, Ordering::SeqCst);
        let detail = run(&app).await;
        assert_eq!(detail.drill.status, status, "{:?}", detail.drill.reasons);
        let run = world.kinds().into_iter().filter(|kind| *kind == OrderKind::Run).count();
        assert_eq!((run, detail.drill.restored), (runs, Some(true)));
        let again = facts(&detail).iter().filter(|fact| matches!(fact, Fact::StepRetried { .. })).count();
        assert_eq!(again, 2);
    }
}

#[tokio::test]
async fn a_stop_condition_that_does_not_hold_stops_the_drill_which_is_rolled_back() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::healthy();
    let app = scene(folder.path(), &world, 2).await;
    // Nobody takes over, so that the service is away for longer than is borne; the step would wait for a minute.
    world.takes_over.store(false, Ordering::SeqCst);
    change(folder.path(), |text| {
        let url = text.lines().find_map(|line| line.strip_prefix("url = ")).unwrap().to_owned();
        let stop =
            format!("[[stop]]\nname = \"batas\"\npatience = \"500ms\"\nhttp = {{ url = {url} }}\n[[probe]]");
        text.replace("recovers_within = \"1s\"", "recovers_within = \"60s\"").replacen("[[probe]]", &stop, 1)
    });
    let detail = run(&app).await;
    assert_eq!((detail.drill.status.as_str(), detail.drill.restored), ("aborted", Some(true)));
    let stopped = |reason: &String| reason.contains("stopped by the stop condition batas: HTTP 503");
    assert!(detail.drill.reasons.iter().any(stopped), "{:?}", detail.drill.reasons);
    assert_eq!(world.kinds(), [OrderKind::Run, OrderKind::Undo], "the second step was not begun");
}

/// A desk review: people alone.
fn tabletop(text: &str) -> String {
    let head = text.split("[[steady_state]]").next().unwrap().replace("\"failover\"", "\"tabletop\"");
    let step = |index: usize| {
        format!(
            "[[step]]\nid = \"t{index}\"\nname = \"Butir {index}\"\nconfirm = \"Siapa dihubungi?\"\ntimeout = \"3s\"\n"
        )
    };
    format!("{head}{}{}", step(0), step(1))
}

async fn confirm(app: &App, id: &str, step: &str, done: bool) {
    loop {
        let (drill, rows) = load(app, id).await.unwrap();
        let waiting = waits_for(&drill, &journal::entries(&rows).unwrap());
        if waiting.is_some_and(|(waiting, _)| waiting == step) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let body = ConfirmBody { step: step.to_owned(), done, note: "Pak Budi, 08…".to_owned() };
    confirm_step(app, id, "user:ani", body).await.unwrap();
}

#[tokio::test]
async fn a_tabletop_waits_for_people_keeps_their_words_and_touches_nothing() {
    for (last, status) in [(Some(true), "passed"), (Some(false), "failed"), (None, "failed")] {
        let folder = tempfile::tempdir().unwrap();
        let world = World::healthy();
        let app = scene(folder.path(), &world, 1).await;
        change(folder.path(), |text| tabletop(&text));
        let id = start_at_pace(&app, "p", budi(), QUICK).await.unwrap();
        confirm(&app, &id, "t0", true).await;
        let early = ConfirmBody { step: "t0".to_owned(), done: false, note: String::new() };
        if let Some(done) = last {
            confirm(&app, &id, "t1", done).await;
        } else {
            wait_for(&app, &id, |fact| matches!(fact, Fact::Asked { step: 1, .. })).await;
            assert!(confirm_step(&app, &id, "user:ani", early).await.is_err(), "that step waits no more");
        }
        let detail = ended(&app, &id).await;
        assert_eq!((detail.drill.status.as_str(), detail.drill.restored), (status, Some(true)), "{last:?}");
        assert_eq!((detail.drill.rto_ms, world.done()), (None, vec![]));
        let html = report_of(&app, &detail).await;
        assert!(
            html.contains("Uji meja") && html.contains("Pak Budi") && !html.contains("continuity."),
            "{html}"
        );
    }
}

#[tokio::test]
async fn rows_that_were_acknowledged_and_are_gone_are_counted_and_held_against_the_target() {
    for (target, status) in [("10s", "passed"), ("100ms", "failed")] {
        let folder = tempfile::tempdir().unwrap();
        let world = World::healthy();
        let app = scene(folder.path(), &world, 1).await;
        world.loses_ms.store(400, Ordering::SeqCst);
        change(folder.path(), |text| {
            let url = text
                .lines()
                .find_map(|line| line.strip_prefix("url = "))
                .unwrap()
                .trim_matches('"')
                .to_owned();
            let marker = format!(
                "[marker]\nname = \"penanda\"\ninterval = \"50ms\"\nhttp = {{ write = \"{url}rows\", read = \"{url}rows\" }}\n[[probe]]"
            );
            let text = text.replace("rto = \"5s\"", &format!("rto = \"5s\"\nrpo = \"{target}\""));
            text.replacen("[[probe]]", &marker, 1)
        });
        // Long enough before the fault for rows to be lost and others kept.
        let pace = super::execute::Pace { baseline: Duration::from_millis(900), ..QUICK };
        let id = start_at_pace(&app, "p", budi(), pace).await.unwrap();
        let detail = ended(&app, &id).await;
        assert_eq!(detail.drill.status, status, "{:?}", detail.drill.reasons);
        let (rows, after) = (detail.rows.as_ref().unwrap(), detail.rows_after.as_ref().unwrap());
        assert!(rows.lost >= 2 && rows.lost < rows.acknowledged, "{rows:?}");
        assert!(rows.rpo_ms.is_some_and(|rpo| (100..2_000).contains(&rpo)), "{rows:?}");
        assert_eq!(rows.found, Some(rows.acknowledged - rows.lost));
        assert_eq!((after.lost, detail.drill.restored), (rows.lost, Some(true)), "the way back lost none");
        let exceeded = detail.drill.reasons.iter().any(|reason| reason.contains("recovery point of"));
        assert_eq!(exceeded, status == "failed", "{:?}", detail.drill.reasons);
        let html = report_of(&app, &detail).await;
        assert!(html.contains("Baris penanda setelah pemulihan: penanda"), "{html}");
    }
}

#[tokio::test]
async fn a_dry_run_lists_everything_and_orders_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::healthy();
    let app = scene(folder.path(), &world, 2).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let found = dry_run(&app, "p").await.unwrap();
    assert_eq!(found.against, Vec::<String>::new());
    assert_eq!(found.steps.iter().map(|step| step.order).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(found.steps[0].host.as_deref(), Some("server-1"));
    assert!(found.steps[0].undo_after_ms > found.steps[1].undo_after_ms, "what came last is undone first");
    assert_eq!(found.rollback, ["Langkah 1", "Langkah 0"]);
    assert!(found.steady_state[0].held && found.probes[0].held);
    let written = app.records.run(|db| drills::latest(db, None, 10)).await.unwrap();
    let ordered = app.records.run(|db| orders::open_for_host(db, "h1", now_ms(), 10)).await.unwrap();
    assert_eq!((written.len(), ordered.len(), world.done()), (0, 0, vec![]));
    world.up.store(false, Ordering::SeqCst);
    assert!(!dry_run(&app, "p").await.unwrap().steady_state[0].held, "it says how everything stands");
}

/// A drill that has ended, and what its world is then.
type Ended = (DrillDetail, Arc<World>);

/// The server ends as soon as the journal has so many entries, and starts again. Service and agent are other processes:
/// they live in a runtime of their own and go on. Gives how many entries there were when the drill had ended before.
fn cut_off_after(entries: usize) -> Option<Ended> {
    let folder = tempfile::tempdir().unwrap();
    let world = World::healthy();
    let outside = Runtime::new().unwrap();
    let (first, second) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    let app = outside.block_on(scene(folder.path(), &world, 2));
    change(folder.path(), |text| text.replace("recovers_within = \"1s\"\n", ""));
    let (id, over) = first.block_on(async {
        let id = start_at_pace(&app, "p", budi(), QUICK).await.unwrap();
        loop {
            let (drill, rows) = load(&app, &id).await.unwrap();
            if rows.len() >= entries || drill.ended_at_ms.is_some() {
                return (id, drill.ended_at_ms.is_some());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    first.shutdown_timeout(Duration::from_secs(5));
    if over {
        return None;
    }
    let detail = second.block_on(async {
        resume_unfinished(&app, QUICK).await.unwrap();
        ended(&app, &id).await
    });
    Some((detail, world))
}

#[test]
fn wherever_the_server_ends_the_drill_is_taken_up_rolled_back_and_closed() {
    let cuts: Vec<(usize, Option<Ended>)> = std::thread::scope(|scope| {
        let mut found = Vec::new();
        for round in [1..=6, 7..=12, 13..=18] {
            let threads: Vec<_> =
                round.map(|entries| (entries, scope.spawn(move || cut_off_after(entries)))).collect();
            found.extend(threads.into_iter().map(|(entries, thread)| (entries, thread.join().unwrap())));
        }
        found
    });
    let mut cut = 0;
    for (entries, found) in cuts {
        let Some((detail, world)) = found else { continue };
        cut += 1;
        let said = format!("after entry {entries}: {} {:?}", detail.drill.status, detail.drill.reasons);
        assert!(world.up.load(Ordering::SeqCst), "the service is up, {said}");
        assert_eq!(detail.drill.restored, Some(true), "{said}");
        assert!(detail.journal_problem.is_none(), "{said}");
        let mut open = Vec::new();
        for (action, kind) in world.done() {
            match kind {
                OrderKind::Run => open.push(action),
                _ => open.retain(|name| *name != action),
            }
        }
        assert_eq!(open, Vec::<String>::new(), "everything that ran was undone, {said}");
    }
    assert!(cut >= 12, "the drill was cut off at {cut} places only");
}
