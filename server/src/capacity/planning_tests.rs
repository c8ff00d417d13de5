//! A shortage from its forecast to its decision, in records of their own.

use super::*;
use crate::capacity::{Crossing, Evaluation, SignalMemory, examples};
use crate::records::Records;
use crate::time::DAY_MS;

const NOW: Millis = 20_000 * DAY_MS;

fn filling() -> Evaluation {
    examples::disk(
        NOW,
        Crossing::Within {
            earliest_ms: Some(NOW + 8 * DAY_MS),
            likely_ms: Some(NOW + 10 * DAY_MS),
            latest_ms: Some(NOW + 13 * DAY_MS),
        },
    )
}

fn store(db: &Connection, evaluation: &Evaluation) {
    forecasts::store(db, evaluation, None, SignalMemory::default()).unwrap();
}

fn decision(status: Status, reason: &str) -> Decision {
    Decision { status, reason: reason.to_owned(), what: None, add_percent: None, due_ms: None }
}

#[test]
fn a_shortage_becomes_one_proposal_and_a_decision_with_its_reason() {
    let records = Records::in_memory().unwrap();
    records
        .transaction(|db| {
            store(db, &filling());
            follow_all(db, NOW)?;
            follow_all(db, NOW + 1)?;
            let open = capacity_proposals::list(db, Some(Status::Open), 10)?;
            assert_eq!(open.len(), 1, "one shortage, one proposal");
            assert_eq!((open[0].draft.add_percent, open[0].draft.due_ms), (90.0, NOW + 8 * DAY_MS));
            let id = open[0].id;
            for (wrong, status) in [
                (decision(Status::Accepted, "  "), 400),
                (decision(Status::Changed, "lebih murah"), 400),
                (decision(Status::Done, "selesai"), 409),
            ] {
                assert_eq!(decide(db, id, &wrong, "user:a", NOW).unwrap_err().status(), status);
            }
            let mut change = decision(Status::Changed, "anggaran APBD-P");
            change.what = Some("pindahkan arsip".to_owned());
            change.add_percent = Some(40.0);
            let changed = decide(db, id, &change, "user:budi", NOW + 2)?;
            assert_eq!((changed.draft.add_percent, changed.what.as_str()), (40.0, "pindahkan arsip"));
            decide(db, id, &decision(Status::Done, "terpasang"), "user:budi", NOW + 3)?;
            let history = capacity_proposals::history(db, id)?;
            let actions: Vec<_> = history.iter().map(|one| (one.action.as_str(), one.add_percent)).collect();
            assert_eq!(actions, [("proposed", 90.0), ("changed", 40.0), ("done", 40.0)]);
            assert_eq!(
                (history[1].actor.as_str(), history[1].reason.as_str()),
                ("user:budi", "anggaran APBD-P")
            );
            let trail = audit::latest(db, 10)?;
            assert_eq!(trail[0].action, "proposal.done");
            assert_eq!(
                (trail[1].action.as_str(), trail[1].subject.clone()),
                ("proposal.change", id.to_string())
            );
            Ok::<_, ApiError>(())
        })
        .unwrap();
}

#[test]
fn what_is_no_longer_short_or_no_longer_there_is_taken_back() {
    let records = Records::in_memory().unwrap();
    records
        .transaction(|db| {
            store(db, &filling());
            follow_all(db, NOW)?;
            store(db, &examples::disk(NOW, Crossing::Never));
            follow_all(db, NOW + 1)?;
            let all = capacity_proposals::list(db, None, 10)?;
            assert_eq!(all[0].status, Status::Withdrawn);
            store(db, &filling());
            follow_all(db, NOW + 2)?;
            forecasts::keep_only(db, "db", &[])?;
            follow_all(db, NOW + 3)?;
            let all = capacity_proposals::list(db, None, 10)?;
            assert_eq!((all.len(), all[0].status), (2, Status::Withdrawn));
            Ok::<_, ApiError>(())
        })
        .unwrap();
}

#[test]
fn the_register_takes_measured_components_that_are_there_and_counted_ones() {
    let records = Records::in_memory().unwrap();
    records
        .transaction(|db| {
            let mut component = Component {
                key: ComponentKey::from(&filling().key),
                threshold_percent: Some(75.0),
                ..Component::default()
            };
            assert_eq!(enter(db, &component, "user:a", NOW).unwrap_err().status(), 404);
            store(db, &filling());
            enter(db, &component, "user:a", NOW)?;
            assert_eq!(capacity_components::thresholds(db)?.get(&filling().key), Some(&75.0));
            component.key = ComponentKey {
                instance: String::new(),
                resource: "personnel".to_owned(),
                item: "HD".to_owned(),
            };
            enter(db, &component, "user:a", NOW)?;
            remove(db, &component.key, "user:a", NOW)?;
            assert_eq!(remove(db, &component.key, "user:a", NOW).unwrap_err().status(), 404);
            let actions: Vec<_> = audit::latest(db, 10)?.into_iter().map(|e| (e.action, e.subject)).collect();
            assert_eq!(actions[0], ("component.delete".to_owned(), "personnel HD".to_owned()));
            assert_eq!(actions[2].1, "db filesystem /data");
            Ok::<_, ApiError>(())
        })
        .unwrap();
}
