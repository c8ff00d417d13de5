//! Generated actions on a store and on a map that stands for it.

use crate::common::*;
use proptest::prelude::*;
use siaga_tsdb::Tsdb;
use std::collections::BTreeMap;

#[derive(Debug, Clone)]
enum Action {
    /// Series, minutes before now of the first sample, samples, seconds between them, and whether it is an import.
    Append {
        series: Vec<u8>,
        minutes_ago: i64,
        samples: usize,
        step_s: i64,
        history: bool,
    },
    Advance {
        minutes: i64,
    },
    Maintain,
    Delete {
        series: u8,
        minutes_ago: i64,
        minutes: i64,
    },
    Reopen,
}

fn action() -> impl Strategy<Value = Action> {
    let append = |minutes: std::ops::Range<i64>, history| {
        (prop::collection::vec(0_u8..6, 1..4), minutes, 1_usize..300, 1_i64..400).prop_map(
            move |(series, minutes_ago, samples, step_s)| Action::Append {
                series,
                minutes_ago,
                samples,
                step_s,
                history,
            },
        )
    };
    prop_oneof![
        6 => append(0..120, false),
        2 => append(0..1500, false),
        2 => append(0..14_000, true),
        4 => (1_i64..3000).prop_map(|minutes| Action::Advance { minutes }),
        4 => Just(Action::Maintain),
        1 => (0_u8..6, 0_i64..5000, 1_i64..3000).prop_map(|(series, minutes_ago, minutes)| Action::Delete { series, minutes_ago, minutes }),
        2 => Just(Action::Reopen),
    ]
}

type Model = BTreeMap<u8, BTreeMap<i64, u64>>;

fn host(series: u8) -> siaga_tsdb::Labels {
    up(&series.to_string())
}

fn check(store: &Tsdb, model: &Model, start: i64, end: i64) {
    let found = store.select(&[equal("__name__", "up")], start, end, ALL).unwrap();
    let found: Vec<_> = found.iter().map(|s| (s.labels.clone(), samples(s))).collect();
    let wanted =
        model.iter().map(|(s, kept)| (host(*s), kept.range(start..=end).map(|(&t, &v)| (t, v)).collect()));
    let wanted: Vec<Found> = wanted.filter(|(_, kept): &Found| !kept.is_empty()).collect();
    // The whole would fill the screen: the first difference says it.
    let difference = found.iter().zip(&wanted).find(|(f, w)| f != w);
    assert!(difference.is_none() && found.len() == wanted.len(), "{}", describe(difference));
}

type Found = (siaga_tsdb::Labels, Vec<(i64, u64)>);

fn describe(difference: Option<(&Found, &Found)>) -> String {
    let Some((found, wanted)) = difference else { return "other series".to_owned() };
    let at = found.1.iter().zip(&wanted.1).position(|(f, w)| f != w);
    let at = at.unwrap_or(found.1.len().min(wanted.1.len()));
    format!(
        "{} and {}: {} and {} samples, at {at}: {:?} and {:?}",
        found.0,
        wanted.0,
        found.1.len(),
        wanted.1.len(),
        found.1.get(at),
        wanted.1.get(at),
    )
}

fn run(actions: Vec<Action>, head_samples: usize) {
    let folder = tempfile::tempdir().unwrap();
    let configured = || {
        let mut options = options(folder.path());
        options.head_samples = head_samples;
        options.synchronous = siaga_tsdb::Synchronous::Normal;
        Tsdb::open(options).unwrap()
    };
    let mut store = configured();
    let (mut model, mut now, mut value) = (Model::new(), MIDNIGHT, 0.0);
    for action in actions {
        match action {
            Action::Append { series, minutes_ago, samples, step_s, history } => {
                let mut parts = Vec::new();
                for id in series {
                    let times = (0..samples as i64).map(|i| now - minutes_ago * 60_000 + i * step_s * 1000);
                    let part: Vec<(i64, f64)> = times
                        .take_while(|&t| t <= now + 600_000)
                        .map(|t| {
                            value += 1.5;
                            (t, value)
                        })
                        .collect();
                    for &(t, v) in &part {
                        model.entry(id).or_default().entry(t).or_insert(v.to_bits());
                    }
                    parts.push((host(id), part));
                }
                let parts: Vec<_> = parts.iter().map(|(l, p)| (l.clone(), &p[..])).collect();
                let batch = batch("model", &parts);
                let appended =
                    if history { store.append_history(batch, now) } else { store.append(batch, now) };
                appended.unwrap();
            }
            Action::Advance { minutes } => now += minutes * 60_000,
            Action::Maintain => {
                store.maintain(now).unwrap();
            }
            Action::Delete { series, minutes_ago, minutes } => {
                let start = now - minutes_ago * 60_000;
                let end = start + minutes * 60_000;
                store.delete_series(&[equal("host", &series.to_string())], start, end).unwrap();
                model.entry(series).or_default().retain(|t, _| !(start..=end).contains(t));
            }
            Action::Reopen => {
                drop(store);
                store = configured();
            }
        }
        check(&store, &model, 0, i64::MAX);
        check(&store, &model, now - 40 * HOUR, now - 30 * 60_000);
    }
    while store.maintain(now + 5 * DAY).unwrap().more {}
    assert_eq!(store.stats().unwrap().head_samples, 0);
    check(&store, &model, 0, i64::MAX);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_store_behaves_as_a_map(actions in prop::collection::vec(action(), 1..25), small_head: bool) {
        run(actions, if small_head { 500 } else { 4_000_000 });
    }
}
