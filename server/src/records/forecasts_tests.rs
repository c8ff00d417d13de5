//! Forecasts are read as they were stored.

use super::*;
use crate::capacity::Reason;
use crate::records::Records;

fn key(item: &str) -> ResourceKey {
    ResourceKey { instance: "web".to_owned(), kind: ResourceKind::Filesystem, item: item.to_owned() }
}

fn evaluation(item: &str, made_at_ms: Millis, outcome: Outcome) -> Evaluation {
    Evaluation {
        key: key(item),
        made_at_ms,
        data_end_ms: made_at_ms - 5,
        known_hours: 100,
        full: 1e12,
        threshold_percent: 90.0,
        current_percent: Some(71.5),
        standing: crate::capacity::Standing::Late { at_ms: made_at_ms },
        state: State::Warning,
        outcome,
    }
}

fn made() -> Made {
    Made {
        crossing: Crossing::Within { earliest_ms: Some(1), likely_ms: Some(2), latest_ms: None },
        breach: [0.1, 0.5, 0.9],
        model: "robust_trend".to_owned(),
        mase: None,
        smape: Some(1.5),
        coverage: Some(0.8),
        trend_percent_per_day: 0.7,
        significant: true,
        remarks: vec![Remark { code: "level_shift".to_owned(), at_ms: Some(7), number: Some(-12.0) }],
        horizons: vec![HorizonPoint { days: 7, p10: 70.0, p50: 75.0, p90: 80.5 }],
    }
}

type Outcome = std::result::Result<Made, Reason>;

#[test]
fn what_is_stored_reads_back() {
    let records = Records::in_memory().unwrap();
    let paths = Paths {
        start_ms: 9,
        p10: vec![1.5, 2.5],
        p50: vec![3.5, 4.5],
        p90: vec![5.5, 6.5],
        peaks: vec![[2.5, 4.5, 6.5]],
    };
    let memory = SignalMemory { running: 2, counted_ms: 3, since_ms: Some(4) };
    let refused: Outcome = Err(Reason { have: Some(3), need: Some(24), ..Reason::plain("too_short") });
    let first = evaluation("/", 10, Ok(made()));
    let second = evaluation("/new", 10, refused);
    records
        .transaction(|db| {
            store(db, &first, Some(&paths), memory)?;
            store(db, &second, None, SignalMemory::default())?;
            let all = latest(db)?;
            assert_eq!(all[0], Latest { evaluation: first.clone(), memory });
            assert_eq!(all[1].evaluation, second);
            assert_eq!(one(db, &key("/"))?.unwrap().1, Some(paths.clone()));
            assert_eq!(one(db, &key("/new"))?.unwrap().1, None);
            assert_eq!(one(db, &key("/none"))?, None);
            Ok::<_, RecordsError>(())
        })
        .unwrap();
}

#[test]
fn the_newest_stays_when_the_past_is_forgotten() {
    let records = Records::in_memory().unwrap();
    records
        .transaction(|db| {
            for at in [10, 20, 30] {
                store(db, &evaluation("/", at, Ok(made())), None, SignalMemory::default())?;
            }
            store(db, &evaluation("/gone", 10, Ok(made())), None, SignalMemory::default())?;
            assert_eq!(latest(db)?.len(), 2);
            keep_only(db, "web", &[key("/")])?;
            assert_eq!(latest(db)?[0].evaluation.made_at_ms, 30);
            assert_eq!(latest(db)?.len(), 1);
            assert_eq!(past(db, &key("/"), 10)?.len(), 3);
            assert_eq!(prune(db, 100)?, 3);
            assert_eq!(past(db, &key("/"), 10)?.len(), 1);
            assert_eq!(instances(db)?, ["web"]);
            Ok::<_, RecordsError>(())
        })
        .unwrap();
}
